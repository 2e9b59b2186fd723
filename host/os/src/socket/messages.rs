//! A socket for messages, in the abstract namespace, that says who has sent each of them (unix(7)).

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram as StdDatagram};

use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, UCred, recvmsg};
use tokio::io::Interest;
use tokio::net::UnixDatagram;

/// A longer message is cut, in bytes.
const MAX_MESSAGE: usize = 4096;

/// The socket.
#[derive(Debug)]
pub struct MessageSocket(UnixDatagram);

/// A message.
#[derive(Debug)]
pub struct Message {
    /// What it says.
    pub text: String,
    /// Who has sent it, if the kernel says.
    pub sender: Option<Sender>,
}

/// A process that has sent a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// Its id, if this process can see it.
    pub pid: Option<u32>,
    /// The number of its user.
    pub uid: u32,
}

impl From<UCred> for Sender {
    fn from(sender: UCred) -> Self {
        let pid = u32::try_from(sender.pid.as_raw_nonzero().get()).ok();
        Self { pid, uid: sender.uid.as_raw() }
    }
}

impl MessageSocket {
    /// With this name, which no other socket may have. Needs a tokio runtime around it.
    pub fn bind(name: &str) -> io::Result<Self> {
        let socket = StdDatagram::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
        set_socket_passcred(&socket, true)?;
        socket.set_nonblocking(true)?;
        Ok(Self(UnixDatagram::from_std(socket)?))
    }

    /// Waits for a message.
    pub async fn readable(&self) -> io::Result<()> {
        self.0.readable().await
    }

    /// The next message, if the runtime knows of one. An error of the kind `WouldBlock` says that there is none.
    pub fn next(&self) -> io::Result<Message> {
        self.0.try_io(Interest::READABLE, || self.next_of_system())
    }

    /// The same, whether or not the runtime knows of it: it may not yet after a standstill of this process.
    pub fn next_of_system(&self) -> io::Result<Message> {
        let mut bytes = [0; MAX_MESSAGE];
        // Descriptors that are sent along find no room, and are closed.
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let slices = &mut [IoSliceMut::new(&mut bytes)];
        let received = recvmsg(&self.0, slices, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        let sender = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmCredentials(sender) => Some(sender.into()),
            _ => None,
        });
        let text = bytes.get(..received.bytes).unwrap_or_default();
        Ok(Message { text: String::from_utf8_lossy(text).into_owned(), sender })
    }
}
