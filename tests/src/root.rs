//! A root for a daemon, in a temporary place.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use tempfile::TempDir;

use crate::control_groups::sweep;
use crate::eventually::{PATIENCE, within};
use crate::failed::keep_folder;

/// A root that goes away with its test.
#[derive(Debug)]
pub struct Root {
    folder: TempDir,
    /// Where its daemon will answer load balancers.
    pub health: SocketAddr,
}

/// Below what connections that go out are given: nobody takes one of these by chance, between the
/// moment that it is found free and the moment that somebody listens there.
const PORTS: Range<u16> = 11_000..32_000;

/// An address on the loopback that is free at present. This process gets it once, and no other process of
/// tests does.
///
/// # Panics
/// If there is none.
pub fn free_address() -> SocketAddr {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    for _ in PORTS {
        let nth = TAKEN.fetch_add(1, Ordering::Relaxed);
        let address =
            SocketAddr::from((own_host(std::process::id()), PORTS.start + nth % (PORTS.end - PORTS.start)));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port is free");
}

/// The same port on another address of this host, as if on another node. Nobody else has that one either.
///
/// # Panics
/// If `address` is not one of [`free_address`].
pub fn beside(address: SocketAddr) -> SocketAddr {
    let std::net::IpAddr::V4(host) = address.ip() else { panic!("{address} is not of the loopback") };
    let [first, second, third, fourth] = host.octets();
    SocketAddr::from(([first, second | 128, third, fourth], address.port()))
}

/// The whole of 127.0.0.0/8 is this host, and process ids have 22 bits: each process has one of its own.
fn own_host(process: u32) -> [u8; 4] {
    let [_, high, middle, low] = process.to_be_bytes();
    [127, 64 | high & 0x3f, middle, low]
}

/// The ports that are taken where no file names others: 8080, 9010, 9013. Whoever has this is the only
/// one, of the tests of all processes on this machine, who starts what takes them.
///
/// # Panics
/// If another test keeps them for good.
pub fn default_ports() -> DefaultPorts {
    let path = std::env::temp_dir().join("bellwether-tests.default-ports");
    let file = fs::File::options().append(true).create(true).open(path).expect("a file to lock");
    within(10 * PATIENCE, "the other tests that need the default ports have ended", || file.try_lock().ok());
    DefaultPorts { _lock: file }
}

/// The right to the default ports, until it is dropped.
#[derive(Debug)]
pub struct DefaultPorts {
    _lock: fs::File,
}

impl Default for Root {
    fn default() -> Self {
        Self::new("node-1", "")
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        // Whoever has a root drops the daemon on it first: all is written.
        keep_folder(self.path(), "root");
        sweep();
    }
}

impl Root {
    /// With a node of that name; `more` is added to its file.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn new(node: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let health = free_address();
        let root = Self { folder, health };
        root.write_node(node, more);
        root
    }

    /// Writes the node's file anew.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write_node(&self, node: &str, more: &str) {
        self.write_node_with("", node, more);
    }

    /// The same, with a certificate that no authority has signed: its health endpoint speaks TLS.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write_node_with_tls(&self, node: &str, more: &str) {
        let made = rcgen::generate_simple_self_signed([node.to_owned()]).expect("a certificate");
        self.write("health.pem", made.cert.pem());
        self.write("health.key", made.signing_key.serialize_pem());
        self.write_node_with("certificate = \"health.pem\"\nkey = \"health.key\"\n", node, more);
    }

    fn write_node_with(&self, health_more: &str, node: &str, more: &str) {
        let health = self.health;
        // Any free port: daemons of tests do not meet.
        let console = if more.contains("[console]") { "" } else { "[console]\nlisten = \"127.0.0.1:0\"\n" };
        self.write(
            "bellwether.toml",
            format!("name = \"{node}\"\n[health]\nlisten = \"{health}\"\n{health_more}{console}{more}"),
        );
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, and the folders above it, as an editor does: beside it, then renamed.
    ///
    /// # Panics
    /// If that fails.
    pub fn write(&self, file: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
        let new = path.with_extension("new");
        fs::write(&new, content).expect("the file can be written");
        fs::rename(&new, &path).expect("the file can be renamed");
        path
    }

    /// Removes a file.
    ///
    /// # Panics
    /// If it is not there.
    pub fn remove(&self, file: &str) {
        fs::remove_file(self.path().join(file)).expect("the file is there");
    }
}
