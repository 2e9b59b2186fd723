//! How this node becomes a member: by an invitation, or as the founder of a farm.
//!
//! ```text
//!   line ──▶ port is opened ──▶ TLS, authority is pinned ──▶ clocks agree ──▶ request ──▶ answer verified ──▶ folder
//!    └────────┴──────────────────┴────────────────────────────┴───────────────┴──────── a failure: nothing is left
//! ```

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::id::NodeName;
use bellwether_farm::admission::compare_clocks;
use bellwether_farm::invitation::{Invitation, Invitations};
use bellwether_farm::renewal::Validity;
use bellwether_farm::roster::{Candidate, Roster};
use bellwether_os::{address as os_address, at_most};
use http::Request;
use rcgen::KeyPair;
use rustls::pki_types::ServerName;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use crate::asking::document;
use crate::authority::{self, Authority, SigningRequest};
use crate::body::{read_json, refusal};
use crate::connections::Connections;
use crate::dial::{Connection, chain, connect, over_http2};
use crate::error::{FarmError, FarmErrorKind};
use crate::folder::{self, Stored};
use crate::identity::Identity;
use crate::serve::Body;
use crate::settings::{Settings, Tuning};
use crate::wall::Wall;
use crate::wire::{HELLO, Hello, JOIN, JoinAnswer, JoinRequest, LONGEST};
use crate::{address, identity, pin};

/// The time limit of the connection, and of each of the two requests.
const CONNECTED_WITHIN: Duration = at_most!(Duration::from_secs(5));
const ANSWERED_WITHIN: Duration = at_most!(Duration::from_secs(15));

/// What a member begins with.
pub(crate) struct Prepared {
    pub(crate) stored: Stored,
    pub(crate) listener: TcpListener,
}

fn error(kind: FarmErrorKind, detail: impl Into<String>) -> FarmError {
    FarmError { kind, detail: detail.into() }
}

fn failed(detail: impl Into<String>) -> FarmError {
    error(FarmErrorKind::Failed, detail)
}

/// Opens the node port.
pub(crate) fn listen(settings: &Settings) -> Result<TcpListener, FarmError> {
    let address = settings.listen;
    os_address::listen(address).map_err(|why| {
        failed(format!(
            "this node cannot listen on {address} for other nodes: {why}; set `listen` of `[farm]` in bellwether.toml"
        ))
    })
}

/// Founds a farm.
pub(crate) async fn found(settings: &Settings, tuning: &Tuning, by: &str) -> Result<Prepared, FarmError> {
    let wall = Wall::new(settings.clock, &tuning.wall_off_ms);
    let listener = listen(settings)?;
    let port = listener.local_addr().map_err(|why| failed(format!("the node port has no address: {why}")))?;
    let not_made =
        |why: &dyn std::fmt::Display| failed(format!("the farm's certificates cannot be made: {why}"));
    let founded = Authority::make(wall.now()).map_err(|why| not_made(&why))?;
    let node_key = identity::new_key().map_err(|why| not_made(&why))?;
    let key = KeyPair::from_pem(&node_key).map_err(|why| not_made(&why))?;
    let request = SigningRequest::make(&key).and_then(|pem| SigningRequest::read(&pem));
    let request = request.map_err(|why| not_made(&why))?;
    let validity = Validity::issued(wall.now(), tuning.certificate_life);
    let certificate =
        founded.authority.issue(&request, founded.farm, validity).map_err(|why| not_made(&why))?;
    let mut roster = Roster::new(founded.farm);
    let address = address::of_founder(settings.address.as_deref(), port);
    let at = u64::try_from(wall.now()).unwrap_or(0);
    let (id, name, zone) = (request.id(), settings.node.clone(), settings.zone.clone());
    let admitted = roster.admit(Candidate { id, name, address, zone, replace: None }, by, at);
    admitted.map_err(|why| failed(why.to_string()))?;
    roster.update(request.id(), |member| member.holds_ca_key = true);
    let stored = Stored {
        node_key,
        certificate,
        authorities: founded.pem,
        authority_key: Some(founded.authority.key_pem()),
        roster,
        generation: 1,
        invitations: Invitations::default(),
    };
    keep(settings.folder.clone(), stored, listener).await
}

/// Makes the folder.
async fn keep(folder: PathBuf, stored: Stored, listener: TcpListener) -> Result<Prepared, FarmError> {
    let shown = folder.display().to_string();
    let kept = tokio::task::spawn_blocking(move || folder::create(&folder, &stored).map(|()| stored));
    let kept = kept.await.map_err(|_| failed("the daemon shuts down"))?;
    let stored = kept.map_err(|why| failed(format!("{shown} cannot be written: {why}")))?;
    Ok(Prepared { stored, listener })
}

/// Joins the farm of an invitation.
pub(crate) async fn join(
    settings: &Settings,
    tuning: &Tuning,
    line: &str,
    replace: Option<NodeName>,
) -> Result<Prepared, FarmError> {
    let invitation: Invitation =
        line.trim().parse().map_err(|why| error(FarmErrorKind::Invalid, format!("{why}")))?;
    let wall = Wall::new(settings.clock, &tuning.wall_off_ms);
    // Before anything is asked: a port that is taken must not cost an invitation.
    let listener = listen(settings)?;
    let listening =
        listener.local_addr().map_err(|why| failed(format!("the node port has no address: {why}")))?;
    let node_key = identity::new_key().map_err(|why| failed(format!("the key of this node {why}")))?;
    let connection = reach(&invitation).await?;
    let hello: Hello = request(&connection, &invitation.address, HELLO, None::<&()>).await?;
    let inviter = &hello.node;
    check_clock(settings, &wall, &hello)?;
    let key = KeyPair::from_pem(&node_key).map_err(|why| failed(format!("the key cannot be read: {why}")))?;
    let signing = SigningRequest::make(&key).map_err(|why| failed(format!("the request {why}")))?;
    let join = JoinRequest {
        secret: invitation.secret.clone(),
        request: signing,
        name: settings.node.clone(),
        address: address::own(settings.address.as_deref(), listening),
        port: listening.port(),
        zone: settings.zone.clone(),
        version: settings.version.clone(),
        replace,
    };
    let answer: JoinAnswer = request(&connection, &invitation.address, JOIN, Some(&join)).await?;
    connection.closing.close();
    let stored = verified(node_key, answer, &invitation, &wall).map_err(|why| {
        error(
            FarmErrorKind::Refused,
            format!("the answer of {inviter} cannot be used: {why}; ask for another invitation"),
        )
    })?;
    let name = settings.node.clone();
    keep(settings.folder.clone(), stored, listener).await.map_err(|why| FarmError {
        detail: format!(
            "{why}. {inviter} has admitted this node already: join again with `--replace {name}`"
        ),
        ..why
    })
}

/// The connection to the node that has issued the invitation. What it presents is verified by the pinned authority.
async fn reach(invitation: &Invitation) -> Result<Connection, FarmError> {
    let address = &invitation.address;
    let by = Instant::now() + CONNECTED_WITHIN;
    let not_reached = |why: String| {
        let hint = "is the node that issued the invitation running, and can this one reach it?";
        error(FarmErrorKind::NotReached, format!("{why}; {hint}"))
    };
    let stream = connect(address, by).await.map_err(not_reached)?;
    let config =
        pin::client(invitation.authority).map_err(|why| failed(format!("TLS cannot be used: {why}")))?;
    let name = ServerName::try_from(pin::ANY_NODE).map_err(|why| failed(why.to_string()))?;
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let stream = match timeout_at(by, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(why)) => {
            let tls = why.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            let detail = if tls.is_some_and(pin::is_other_farm) {
                format!(
                    "the node at {address} belongs to another farm than the invitation: its authority has another \
                     certificate. Ask for an invitation of that farm, or check the address"
                )
            } else {
                format!("what listens at {address} is not the node port of Bellwether: {why}")
            };
            return Err(error(FarmErrorKind::Refused, detail));
        }
        Err(_) => return Err(not_reached(format!("{address} does not answer in time"))),
    };
    over_http2(stream, &Connections::default(), None, by).await.map_err(not_reached)
}

/// One request on the connection of the join.
async fn request<A: DeserializeOwned>(
    connection: &Connection,
    address: &str,
    path: &'static str,
    content: Option<&impl serde::Serialize>,
) -> Result<A, FarmError> {
    let request: Request<Body> = document(path, content).map_err(failed)?;
    let lost = |why: String| {
        error(FarmErrorKind::NotReached, format!("the connection to {address} was lost: {why}"))
    };
    let sent = timeout(ANSWERED_WITHIN, connection.sender.clone().send_request(request)).await;
    let overdue = || error(FarmErrorKind::Overdue, format!("the node at {address} has not answered in time"));
    let response = sent.map_err(|_| overdue())?.map_err(|why| lost(chain(&why)))?;
    let response =
        refusal(response).await.map_err(|problem| error(FarmErrorKind::Refused, problem.detail))?;
    read_json(response.into_body(), LONGEST).await.map_err(|why| {
        error(FarmErrorKind::Refused, format!("the answer of {address} cannot be read: {why}"))
    })
}

/// A wrong clock would make every later handshake fail.
fn check_clock(settings: &Settings, wall: &Wall, hello: &Hello) -> Result<(), FarmError> {
    compare_clocks(wall.now_ms(), hello.wall_ms).map_err(|off| {
        let sentence = off.sentence(&format!("this node ({})", settings.node), hello.node.as_str());
        let detail = format!(
            "{sentence}: set the one that is wrong (`timedatectl` shows whether it is synchronised), and join again; \
             the invitation is still valid"
        );
        error(FarmErrorKind::Refused, detail)
    })
}

/// The parts of an answer belong together, and to the farm of the invitation.
fn verified(
    node_key: String,
    answer: JoinAnswer,
    invitation: &Invitation,
    wall: &Wall,
) -> Result<Stored, String> {
    let bundle = authority::certificates(&answer.authorities)
        .map_err(|why| format!("the certificate of the authority {why}"))?;
    let farm = answer.roster.farm();
    if !bundle.iter().any(|certificate| authority::sha256(certificate) == invitation.authority) {
        return Err("it has another authority than the invitation".to_owned());
    }
    if !bundle.iter().any(|certificate| authority::authority_id(certificate) == Some(farm)) {
        return Err("its roster is of another farm".to_owned());
    }
    let identity = Identity::new(&node_key, &answer.certificate, &bundle, farm)
        .map_err(|why| format!("the certificate {why}"))?;
    if !identity.validity.includes(wall.now()) {
        return Err("the certificate is not valid now".to_owned());
    }
    if !answer.roster.members().contains_key(&identity.id) {
        return Err("its roster does not have this node".to_owned());
    }
    if let Some(key) = &answer.authority_key {
        Authority::load(key, &bundle).map_err(|why| format!("the key of the authority {why}"))?;
    }
    Ok(Stored {
        node_key,
        certificate: answer.certificate,
        authorities: answer.authorities,
        authority_key: answer.authority_key,
        roster: answer.roster,
        generation: 1,
        invitations: Invitations::default(),
    })
}
