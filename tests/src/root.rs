//! A root for a daemon, in a temporary folder.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use tempfile::TempDir;

use crate::control_groups::sweep;
use crate::eventually::{PATIENCE, within};
use crate::failed::keep_folder;

/// A root that is removed with its test.
#[derive(Debug)]
pub struct Root {
    folder: TempDir,
    /// The address of its daemon's health endpoint.
    pub health: SocketAddr,
}

/// Below the ports of outgoing connections: none of these is used by chance between the moment that it is found
/// free and the moment that a server listens there.
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

/// The same port on another address of this host, as if on another node. No other test has that one either.
///
/// # Panics
/// If `address` is not one of [`free_address`].
pub fn beside(address: SocketAddr) -> SocketAddr {
    let std::net::IpAddr::V4(host) = address.ip() else { panic!("{address} is not of the loopback") };
    let [first, second, third, fourth] = host.octets();
    SocketAddr::from(([first, second | 128, third, fourth], address.port()))
}

/// The whole of 127.0.0.0/8 is this host, and process ids have 22 bits: each process has its own address.
fn own_host(process: u32) -> [u8; 4] {
    let [_, high, middle, low] = process.to_be_bytes();
    [127, 64 | high & 0x3f, middle, low]
}

/// The default ports: 8080, 9010, 9013. The holder of this lock is the only one, of the tests of all processes on
/// this machine, that starts servers on them.
///
/// # Panics
/// If another test never releases them.
pub fn default_ports() -> DefaultPorts {
    let path = std::env::temp_dir().join("bellwether-tests.default-ports");
    let file = fs::File::options().append(true).create(true).open(path).expect("a file to lock");
    within(10 * PATIENCE, "the other tests that need the default ports have ended", || file.try_lock().ok());
    DefaultPorts { _lock: file }
}

/// The lock of the default ports, held until it is dropped.
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
        // The daemon on a root is dropped before the root: everything is written.
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

    /// Writes the node's file again.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write_node(&self, node: &str, more: &str) {
        self.write_node_with("", node, more);
    }

    /// The same, with a self-signed certificate: its health endpoint uses TLS.
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
        // Any free port, so that daemons of tests do not conflict.
        let console = if more.contains("[console]") { "" } else { "[console]\nlisten = \"127.0.0.1:0\"\n" };
        self.write(
            "bellwether.toml",
            format!("name = \"{node}\"\n[health]\nlisten = \"{health}\"\n{health_more}{console}{more}"),
        );
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, and creates its folders, like an editor: beside it, then renamed.
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
    /// If it does not exist.
    pub fn remove(&self, file: &str) {
        fs::remove_file(self.path().join(file)).expect("the file is there");
    }
}
