//! Nodes that were removed, and certificates that lie.

use bellwether_farm::renewal::Validity;
use rcgen::KeyPair;
use rustls::HandshakeKind;

use super::*;
use crate::authority::{Authority, SigningRequest, certificates};
use crate::dial::{NotDialled, connect, dial};
use crate::identity::{Identity, new_key};
use crate::tls::Tls;
use crate::wall::Wall;
use crate::{NotAsked, stream};
use tokio::time::Instant;

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_removed_node_is_refused_and_its_connections_are_closed() {
    let nodes = farm(&["node-a", "node-b", "node-c"]).await;
    let (a, c) = (nodes[0].node(), nodes[2].node());
    let member_a = c.member(a.me).unwrap();
    let (connection, _) = dial(&c, a.me, &member_a).await.unwrap();
    nodes[0].links.remove(&name("node-c"), "alice").await.unwrap();
    // An open connection ends, and a new one gives nothing.
    eventually("it is closed", || connection.sender.is_closed()).await;
    nodes[0].until_hears(&[&nodes[1]]).await;
    nodes[1].until_hears(&[&nodes[0]]).await;
    let picture = nodes[2].until("that it was removed", |picture| picture.removed.is_some()).await;
    assert_eq!(picture.removed.as_ref().unwrap().by, "alice");
    let asked = nodes[2].links.ask(&name("node-a"), post("/api/v1/echo?all=1", "x"), alice()).await;
    assert!(matches!(asked, Err(NotAsked::NotHeard { .. })), "{asked:?}");
    assert!(nodes[0].api.callers.lock().unwrap().is_empty());
    let error = nodes[2].links.invite("bob").await.unwrap_err();
    assert!(
        error.detail.contains("removed from the farm by alice") && error.detail.contains("farm leave"),
        "{error}"
    );
    // It stays removed when it returns, and can join anew after it has left.
    let mut nodes = nodes;
    let c = nodes.pop().unwrap().restart().await;
    let picture = c.until("that it is removed still", |picture| picture.removed.is_some()).await;
    assert_eq!((picture.this.as_ref(), picture.removed.as_ref().unwrap().by.as_str()), (None, "alice"));
    c.links.leave("bob").await.unwrap();
    c.assert_alone();
    c.join(&nodes[0].invite().await).await.unwrap();
    c.until_hears(&[&nodes[0], &nodes[1]]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_that_was_away_learns_that_it_was_removed() {
    let mut nodes = farm(&["node-a", "node-b"]).await;
    let root = Arc::clone(&nodes[1].root);
    nodes[1].kill();
    nodes[0].links.remove(&name("node-b"), "alice").await.unwrap();
    nodes[0].until_hears(&[]).await;
    let b = TestNode::start_in(root, "node-b", Tuning::default()).await;
    let picture = b.until("that it was removed", |picture| picture.removed.is_some()).await;
    assert_eq!(picture.removed.as_ref().unwrap().by, "alice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_cannot_be_removed_is_told() {
    let nodes = farm(&["node-a", "node-b"]).await;
    let error = nodes[0].links.remove(&name("node-x"), "alice").await.unwrap_err();
    assert_eq!(error.kind, crate::FarmErrorKind::NoSuchNode);
    assert!(error.detail.contains("node-a, node-b"), "{error}");
    let error = nodes[0].links.remove(&name("node-a"), "alice").await.unwrap_err();
    assert!(error.detail.contains("farm leave"), "{error}");
}

/// A client that would resume sessions gets none.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn no_session_is_ever_resumed() {
    let nodes = farm(&["node-a", "node-b"]).await;
    let (a, b) = (nodes[0].node(), nodes[1].node());
    let identity = b.tls.identity();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(identity.certified.cert[1].clone()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(crate::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let key = std::fs::read(nodes[1].folder.join("node.key")).unwrap();
    let key =
        <rustls::pki_types::PrivateKeyDer<'_> as rustls::pki_types::pem::PemObject>::from_pem_slice(&key);
    let mut config = config.with_client_auth_cert(identity.certified.cert.clone(), key.unwrap()).unwrap();
    config.alpn_protocols = vec![crate::tls::HTTP2.to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    for _ in 0..3 {
        let stream = connect(&b.member(a.me).unwrap().address, soon()).await.unwrap();
        let mut stream = connector.connect(b.tls.name_of(a.me).unwrap(), stream).await.unwrap();
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
        // What the server sends after its handshake would be tickets; the settings of HTTP/2 come after those.
        let mut received = [0; 16];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut received[..1]).await.unwrap();
        assert_eq!(stream.get_ref().1.tls13_tickets_received(), 0);
    }
}

/// A node of the farm's authority that says to be another one.
fn liar(node: &TestNode, name: bellwether_farm::id::NodeId) -> Identity {
    let this = node.node();
    let bundle = certificates(&std::fs::read_to_string(node.folder.join("authority.pem")).unwrap()).unwrap();
    let authority_key = std::fs::read_to_string(node.folder.join("authority.key")).unwrap();
    let authority = Authority::load(&authority_key, &bundle).unwrap();
    let key = new_key().unwrap();
    let request = SigningRequest::make(&KeyPair::from_pem(&key).unwrap()).unwrap();
    let request = SigningRequest::read(&request).unwrap();
    let validity = Validity::issued(this.wall.now(), 3_600);
    let certificate = authority.issue_a_lie(&request, name, this.farm, validity).unwrap();
    Identity::new(&key, &certificate, &bundle, this.farm).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_certificate_that_lies_about_its_name_is_the_one_of_a_stranger() {
    let nodes = farm(&["node-a", "node-b"]).await;
    let (a, b) = (nodes[0].node(), nodes[1].node());
    let bundle =
        certificates(&std::fs::read_to_string(nodes[0].folder.join("authority.pem")).unwrap()).unwrap();
    let wall = Wall::new(Clock::start(), &Arc::default());
    let tls = Tls::new(liar(&nodes[0], b.me), &bundle, &wall).unwrap();
    // As a server: what node-a takes for node-b.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut member = a.member(b.me).unwrap();
    member.address = listener.local_addr().unwrap().to_string();
    let server = tls.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(server.acceptor().accept(stream).await);
        }
    });
    let error = dial(&a, b.me, &member).await.unwrap_err();
    assert!(
        matches!(&error, NotDialled::CannotAuthenticate(why) if why.contains("certificate of another node")),
        "{error:?}"
    );
    // As a client: node-b knows it by its key.
    let (messages, mut told) = mpsc::channel(8);
    let pretender = Node {
        farm: b.farm,
        me: a.me,
        name: name("node-a"),
        version: "0.0.0".to_owned(),
        tls,
        wall,
        roster: arc_swap::ArcSwap::from(b.roster.load_full()),
        connections: crate::connections::Connections::default(),
        requests: crate::asking::Requests::default(),
        messages,
        serve: Arc::new(Api::default()),
        streams_until: std::sync::atomic::AtomicI64::default(),
    };
    stream::open(&pretender, b.me).await;
    let Some(crate::message::Message::NotDialled { why: NotDialled::Refused(why), .. }) = told.recv().await
    else {
        panic!("a liar was let in");
    };
    assert!(why.contains("does not know this node"), "{why}");
}
