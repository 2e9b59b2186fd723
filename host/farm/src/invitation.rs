//! Invitations: the line that a new node is given, and which of them may still be used.
//!
//! ```text
//!   issued ──used──▶ used ──┐
//!      │                    ├──a day later──▶ forgotten
//!      └──expired───────────┘
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The word in front of an invitation; it changes with the form of the rest.
const VERSION: &str = "bw1";
/// How long after its expiry an invitation is remembered, in seconds: until then its use is refused with the reason.
const REMEMBERED: u64 = 24 * 60 * 60;
/// The maximum number of invitations that a node remembers.
const MAX_INVITATIONS: usize = 256;
/// The maximum length of an invitation, in bytes.
const MAX_LINE: usize = 600;

/// An invitation. Its text is `bw1.ADDRESS.AUTHORITY.SECRET`, where the authority is the SHA-256 of its certificate
/// in hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The address and port of the inviting node.
    pub address: String,
    /// SHA-256 of the certificate of the farm's authority, by which the new node recognises the farm.
    pub authority: [u8; 32],
    /// The secret by which the farm recognises the new node: letters and digits.
    pub secret: String,
}

/// Why a text is not an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvitationError {
    /// It begins otherwise.
    #[error("this is not an invitation: it begins with `bw1.`, as printed by `bellwether farm invite`")]
    NotAnInvitation,
    /// It begins with the word of a later version.
    #[error(
        "this invitation comes from a later version of Bellwether; install that version on this node first"
    )]
    LaterVersion,
    /// A part is missing, or has the wrong length.
    #[error("this invitation is incomplete; copy the whole line that `bellwether farm invite` printed")]
    CutOff,
}

impl FromStr for Invitation {
    type Err = InvitationError;

    fn from_str(text: &str) -> Result<Self, InvitationError> {
        let text = text.trim();
        let Some((version, rest)) = text.split_once('.') else {
            return Err(InvitationError::NotAnInvitation);
        };
        if version != VERSION {
            let later = version.strip_prefix("bw").is_some_and(|number| number.parse::<u32>().is_ok());
            return Err(if later { InvitationError::LaterVersion } else { InvitationError::NotAnInvitation });
        }
        if text.len() > MAX_LINE {
            return Err(InvitationError::NotAnInvitation);
        }
        // The address has dots, too.
        let mut parts = rest.rsplitn(3, '.');
        let (Some(secret), Some(authority), Some(address)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(InvitationError::CutOff);
        };
        let authority = digest(authority).ok_or(InvitationError::CutOff)?;
        let plain = secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let has_port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        if secret.len() != SECRET_LENGTH || !plain || !has_port {
            return Err(InvitationError::CutOff);
        }
        Ok(Self { address: address.to_owned(), authority, secret: secret.to_owned() })
    }
}

/// The number of characters of a secret.
pub const SECRET_LENGTH: usize = 32;

impl fmt::Display for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VERSION}.{}.", self.address)?;
        self.authority.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, ".{}", self.secret)
    }
}

/// Without the secret, which must not get into a log.
impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invitation").field("address", &self.address).finish_non_exhaustive()
    }
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(digest)
}

/// The invitations that a node has issued. Of each it knows only the digest of the secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitations {
    issued: Vec<Issued>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Issued {
    /// SHA-256 of the secret.
    secret: [u8; 32],
    /// Seconds since 1970.
    expires: u64,
    /// Whether a node has joined with it.
    used: bool,
}

/// Why an invitation is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotRedeemed {
    /// This node has not issued it, or has forgotten it.
    #[error("this node does not know the invitation")]
    Unknown,
    /// It was issued too long ago.
    #[error("the invitation has expired")]
    Expired {
        /// For how many seconds it has been expired.
        since: u64,
    },
    /// Another node has joined with it.
    #[error("the invitation has been used already")]
    Used,
}

impl Invitations {
    /// Remembers an invitation that expires at this time, in seconds since 1970; `now` likewise. The oldest is
    /// forgotten if there are too many.
    pub fn issue(&mut self, secret: [u8; 32], expires: u64, now: u64) {
        self.issued.retain(|issued| now < issued.expires.saturating_add(REMEMBERED));
        if self.issued.len() >= MAX_INVITATIONS {
            self.issued.remove(0);
        }
        self.issued.push(Issued { secret, expires, used: false });
    }

    /// Uses up the invitation with this digest of its secret.
    pub fn redeem(&mut self, secret: [u8; 32], now: u64) -> Result<(), NotRedeemed> {
        let found = self.issued.iter_mut().find(|issued| issued.secret == secret);
        let issued = found.ok_or(NotRedeemed::Unknown)?;
        if issued.used {
            return Err(NotRedeemed::Used);
        }
        if issued.expires <= now {
            return Err(NotRedeemed::Expired { since: now - issued.expires });
        }
        issued.used = true;
        Ok(())
    }

    /// Makes the invitation usable again, because the node that used it could not join.
    pub fn give_back(&mut self, secret: [u8; 32]) {
        if let Some(issued) = self.issued.iter_mut().find(|issued| issued.secret == secret) {
            issued.used = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(address: &str) -> Invitation {
        Invitation { address: address.to_owned(), authority: [7; 32], secret: "a1".repeat(16) }
    }

    #[test]
    fn the_line_can_be_read_again() {
        for address in ["10.0.0.5:9013", "node-1.example.org:9013", "[fd00::5]:9013"] {
            let invitation = line(address);
            assert_eq!(invitation.to_string().parse(), Ok(invitation.clone()));
            assert_eq!(format!(" {invitation}\n").parse(), Ok(invitation), "copied with white space");
        }
    }

    #[test]
    fn a_line_that_was_cut_off_is_refused_wherever_the_cut_is() {
        let whole = line("10.0.0.5:9013").to_string();
        for end in 0..whole.len() {
            assert!(whole[..end].parse::<Invitation>().is_err(), "{}", &whole[..end]);
        }
    }

    #[test]
    fn each_mistake_is_told() {
        for (text, why) in [
            ("", InvitationError::NotAnInvitation),
            ("hello", InvitationError::NotAnInvitation),
            ("bw2.10.0.0.5:9013.x.y", InvitationError::LaterVersion),
            ("bw1.10.0.0.5:9013", InvitationError::CutOff),
            ("k10.x.y.z", InvitationError::NotAnInvitation),
        ] {
            assert_eq!(text.parse::<Invitation>(), Err(why), "{text}");
        }
    }

    #[test]
    fn the_secret_stays_out_of_logs() {
        let invitation = line("10.0.0.5:9013");
        assert!(!format!("{invitation:?}").contains(&invitation.secret));
    }

    #[test]
    fn an_invitation_is_used_once_and_in_time() {
        let mut invitations = Invitations::default();
        invitations.issue([1; 32], 1000, 0);
        invitations.issue([2; 32], 1000, 0);
        assert_eq!(invitations.redeem([3; 32], 10), Err(NotRedeemed::Unknown));
        assert_eq!(invitations.redeem([1; 32], 999), Ok(()));
        assert_eq!(invitations.redeem([1; 32], 999), Err(NotRedeemed::Used));
        assert_eq!(invitations.redeem([2; 32], 1060), Err(NotRedeemed::Expired { since: 60 }));
        invitations.give_back([1; 32]);
        assert_eq!(invitations.redeem([1; 32], 999), Ok(()), "the node could not join");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut invitations = Invitations::default();
        for number in 0..2000_u16 {
            let mut secret = [0; 32];
            secret[..2].copy_from_slice(&number.to_be_bytes());
            invitations.issue(secret, 1000, 0);
        }
        assert_eq!(invitations.issued.len(), MAX_INVITATIONS);
        invitations.issue([9; 32], 200_000, 1000 + REMEMBERED);
        assert_eq!(invitations.issued.len(), 1);
    }
}
