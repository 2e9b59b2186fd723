//! Servers of the Domain Name System.

use std::net::{SocketAddr, TcpListener};

use bellwether_tests::root::free_address;

use super::application::{Application, Child, Laid, Question};
use super::place::Place;

const CONFIGURED: &str = "here.test";
const ANSWER: [u8; 4] = [192, 0, 2, 77];

/// Over TCP: the address of `here.test`, which is 192.0.2.77.
fn question(address: SocketAddr) -> Question {
    let name = b"\x04here\x04test\x00";
    let query =
        [b"\x11\x22\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", name.as_slice(), b"\x00\x01\x00\x01"].concat();
    let length = u16::try_from(query.len()).expect("it is short").to_be_bytes();
    Question::tcp(address, [length.as_slice(), &query].concat(), ANSWER)
}

pub(crate) const NAMED: Application = Application {
    name: "named",
    packages: "bind9",
    program: "/usr/sbin/named",
    child: Child::None,
    lay_out: named,
};

/// It listens on the addresses of the interfaces; the loopback has only one.
fn free_address_of_the_loopback() -> SocketAddr {
    let ports = std::iter::repeat_with(|| free_address().port());
    let mut addresses = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    addresses.find(|address| TcpListener::bind(address).is_ok()).expect("ports never end")
}

fn named(place: &Place) -> Laid {
    let (address, own) = (free_address_of_the_loopback(), place.folder_of("bind", "own"));
    let zone = place.write(
        "zone",
        "$TTL 60\n@ IN SOA ns.test. admin.test. 1 60 60 60 60\n@ IN NS ns.test.\nns IN A 192.0.2.1\nhere IN A 192.0.2.77\n",
    );
    let conf = place.write(
        "named.conf",
        format!(
            "options {{
    directory \"{own}\"; pid-file \"{own}/named.pid\"; session-keyfile \"{own}/session.key\";
    listen-on port {} {{ {}; }}; listen-on-v6 {{ none; }}; recursion no; dnssec-validation no;
}};
controls {{ }};
zone \"test\" {{ type primary; file \"{zone}\"; }};\n",
            address.port(),
            address.ip()
        ),
    );
    Laid::new(question(address))
        .change("/etc/bind/named.conf", conf)
        .change("/run/named", format!("{}/run", place.path().display()))
        .change("127.0.0.1:53", address.to_string())
}

pub(crate) const UNBOUND: Application = Application {
    name: "unbound",
    packages: "unbound",
    program: "/usr/sbin/unbound",
    child: Child::None,
    lay_out: unbound,
};

fn unbound(place: &Place) -> Laid {
    let address = free_address();
    let conf = place.write(
        "unbound.conf",
        format!(
            "server:
    interface: {}@{}
    access-control: 127.0.0.0/8 allow
    chroot: \"\"
    directory: \"{}\"
    username: unbound
    use-syslog: no
    local-zone: \"test.\" static
    local-data: \"{CONFIGURED}. IN A 192.0.2.77\"\n",
            address.ip(),
            address.port(),
            place.path().display()
        ),
    );
    Laid::new(question(address))
        .change("/etc/unbound/unbound.conf", conf)
        .change("127.0.0.1:53", address.to_string())
}

pub(crate) const DNSMASQ: Application = Application {
    name: "dnsmasq",
    packages: "dnsmasq-base",
    program: "/usr/sbin/dnsmasq",
    child: Child::None,
    lay_out: dnsmasq,
};

fn dnsmasq(place: &Place) -> Laid {
    let address = free_address();
    let conf = place.write(
        "dnsmasq.conf",
        format!(
            "port={}\nlisten-address={}\nbind-interfaces\nno-resolv\nno-hosts\npid-file=\naddress=/{CONFIGURED}/192.0.2.77\n",
            address.port(),
            address.ip()
        ),
    );
    Laid::new(question(address))
        .change("\"--test\"", format!("\"--test\", \"--conf-file={conf}\""))
        .change("/etc/dnsmasq.conf", conf)
        .change("127.0.0.1:53", address.to_string())
}
