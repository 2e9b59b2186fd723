//! Compares the decisions about addresses and paths with those of a slow and simple reference.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use proptest::prelude::*;

use super::connect::Protocol;
use super::{GrantKind, Grants};

/// An address bit by bit, with IPv4-mapped addresses as IPv4.
fn bits(ip: IpAddr) -> Vec<bool> {
    let octets = match ip.to_canonical() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    octets.iter().flat_map(|octet| (0..8).rev().map(move |bit| octet >> bit & 1 == 1)).collect()
}

/// Link-local, and the metadata services of clouds: only by their own address.
fn is_special(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.octets()[..2] == [169, 254],
        IpAddr::V6(ip) => {
            ip.segments()[0] & 0xffc0 == 0xfe80 || ip == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
        }
    }
}

/// Few different ones, so that matches are frequent.
fn address() -> impl Strategy<Value = IpAddr> {
    let octet = prop_oneof![Just(0_u8), Just(10), Just(127), Just(169), Just(254), Just(255), any::<u8>()];
    let segment = prop_oneof![
        Just(0_u16),
        Just(0xffff),
        Just(0xfe80),
        Just(0xfd00),
        Just(0xec2),
        Just(0x254),
        any::<u16>()
    ];
    let four = prop::array::uniform4(octet).prop_map(Ipv4Addr::from);
    prop_oneof![
        four.clone().prop_map(IpAddr::V4),
        four.prop_map(|ip| IpAddr::V6(ip.to_ipv6_mapped())),
        prop::array::uniform8(segment).prop_map(|segments| IpAddr::V6(segments.into())),
    ]
}

fn part() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "..", ".", "", "a b", "etc", "A", "..a", "a.."])
}

proptest! {
    #[test]
    fn an_address_is_granted_exactly_where_its_first_bits_say_so(
        networks in prop::collection::vec((address(), 0_usize..=128, 1_u16..4), 0..4),
        asked in address(),
        port in 1_u16..4,
        near in any::<prop::sample::Index>(),
        is_near in any::<bool>(),
    ) {
        // Half of the time an address that a grant names.
        let asked = if is_near && !networks.is_empty() { near.get(&networks).0 } else { asked };
        let mut grants = Grants::default();
        let mut expected = false;
        for (ip, prefix, granted) in networks {
            let ip = ip.to_canonical();
            let own = bits(ip);
            let prefix = prefix.min(own.len());
            // The notation requires the address of the network itself.
            let network: Vec<bool> = own.iter().enumerate().map(|(at, bit)| *bit && at < prefix).collect();
            let network = from_bits(&network);
            let text = match network {
                IpAddr::V4(ip) => format!("{ip}/{prefix}:{granted}"),
                IpAddr::V6(ip) => format!("[{ip}/{prefix}]:{granted}"),
            };
            // An IPv6 network may by chance begin like an IPv4-mapped one: not compared.
            prop_assume!(network.is_ipv4() == network.to_canonical().is_ipv4());
            grants.add(GrantKind::Connect, &text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let theirs = bits(asked);
            let fits = theirs.len() == own.len() && theirs[..prefix] == bits(network)[..prefix];
            let exactly = prefix == own.len();
            expected |= granted == port && fits && (exactly || !is_special(asked));
        }
        let answer = grants.may_connect(Protocol::Tcp, SocketAddr::new(asked, port), |_, _| false);
        prop_assert_eq!(answer.is_ok(), expected, "{:?} asked for {}:{}", grants.connect, asked, port);
        prop_assert!(grants.may_connect(Protocol::Udp, SocketAddr::new(asked, port), |_, _| false).is_err());
    }

    #[test]
    fn a_path_is_granted_exactly_inside_the_folders_that_are(
        folder in prop::collection::vec(prop::sample::select(vec!["a", "b", "etc"]), 1..3),
        asked in prop::collection::vec(part(), 1..6),
    ) {
        let mut grants = Grants::default();
        let text = format!("/{}", folder.join("/"));
        grants.add(GrantKind::Read, &text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let path = format!("/{}", asked.join("/"));
        let walked: Vec<&str> = asked.iter().copied().filter(|part| !["", "."].contains(part)).collect();
        let expected = !walked.contains(&"..") && walked.starts_with(&folder);
        prop_assert_eq!(grants.may_read(&path).is_ok(), expected, "{} asked for {}", text, path);
    }
}

fn from_bits(bits: &[bool]) -> IpAddr {
    let octets: Vec<u8> =
        bits.chunks(8).map(|octet| octet.iter().fold(0, |all, bit| all << 1 | u8::from(*bit))).collect();
    match <[u8; 4]>::try_from(octets.as_slice()) {
        Ok(four) => four.into(),
        Err(_) => <[u8; 16]>::try_from(octets.as_slice()).unwrap().into(),
    }
}
