//! Which addresses are inside: private, loopback, link-local and the like.
//! Modules reach those only where the configuration allows it for a host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether the address is anything but a public unicast one.
#[must_use]
pub fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => is_private_v4(v4),
        IpAddr::V6(v6) => is_private_v6(v6),
    }
}

/// Addresses that no configuration can allow: they carry no host.
#[must_use]
pub fn is_never_a_host(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast() || v4.is_unspecified(),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_never_a_host(v4.into()),
            None => v6.is_multicast() || v6.is_unspecified(),
        },
    }
}

fn is_private_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_documentation()
        || a == 0
        // Carrier-grade NAT, 100.64.0.0/10.
        || (a == 100 && b & 0xc0 == 64)
        // Protocol assignments and 6to4 relays.
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        // Benchmarking, 198.18.0.0/15.
        || (a == 198 && b & 0xfe == 18)
        // Multicast, reserved and broadcast.
        || a >= 224
        // The host service of one cloud, at a public address.
        || v4 == Ipv4Addr::new(168, 63, 129, 16)
}

fn is_private_v6(v6: Ipv6Addr) -> bool {
    if let Some(v4) = v6.to_ipv4_mapped() {
        return is_private_v4(v4);
    }
    let [s0, s1, ..] = v6.segments();
    // Public unicast is 2000::/3; within it stand tunnels (which carry any
    // IPv4 address) and documentation.
    let unicast = s0 & 0xe000 == 0x2000;
    !unicast
        || s0 == 0x2002
        || (s0 == 0x2001 && s1 < 0x0200)
        || (s0 == 0x2001 && s1 == 0x0db8)
        || (s0 == 0x3fff && s1 < 0x1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_at_its_edges() {
        for (text, private) in [
            ("0.0.0.0", true),
            ("0.255.255.255", true),
            ("1.0.0.0", false),
            ("8.8.8.8", false),
            ("9.255.255.255", false),
            ("10.0.0.0", true),
            ("10.255.255.255", true),
            ("11.0.0.0", false),
            ("100.63.255.255", false),
            ("100.64.0.0", true),
            ("100.100.100.200", true),
            ("100.127.255.255", true),
            ("100.128.0.0", false),
            ("127.0.0.1", true),
            ("127.255.255.255", true),
            ("128.0.0.0", false),
            ("168.63.129.16", true),
            ("168.63.129.17", false),
            ("169.253.255.255", false),
            ("169.254.0.0", true),
            ("169.254.169.254", true),
            ("169.255.0.0", false),
            ("172.15.255.255", false),
            ("172.16.0.0", true),
            ("172.31.255.255", true),
            ("172.32.0.0", false),
            ("192.0.0.192", true),
            ("192.0.2.1", true),
            ("192.88.99.1", true),
            ("192.167.255.255", false),
            ("192.168.0.1", true),
            ("192.169.0.0", false),
            ("198.17.255.255", false),
            ("198.18.0.0", true),
            ("198.19.255.255", true),
            ("198.20.0.0", false),
            ("198.51.100.1", true),
            ("203.0.113.1", true),
            ("223.255.255.255", false),
            ("224.0.0.1", true),
            ("239.255.255.255", true),
            ("240.0.0.1", true),
            ("255.255.255.255", true),
            ("::", true),
            ("::1", true),
            ("::7f00:1", true),
            ("::ffff:127.0.0.1", true),
            ("::ffff:10.0.0.1", true),
            ("::ffff:169.254.169.254", true),
            ("::ffff:8.8.8.8", false),
            ("64:ff9b::7f00:1", true),
            ("64:ff9b:1::1", true),
            ("100::1", true),
            ("2001::1", true),
            ("2001:db8::1", true),
            ("2001:4860:4860::8888", false),
            ("2002:7f00:1::", true),
            ("2606:4700::1111", false),
            ("3fff::1", true),
            ("3fff:1000::1", false),
            ("fc00::1", true),
            ("fd00:ec2::254", true),
            ("fe80::1", true),
            ("fec0::1", true),
            ("ff02::1", true),
        ] {
            assert_eq!(is_private(text.parse().unwrap()), private, "{text}");
        }
    }

    #[test]
    fn what_is_never_a_host() {
        for (text, never) in [
            ("0.0.0.0", true),
            ("224.0.0.1", true),
            ("255.255.255.255", true),
            ("::", true),
            ("ff02::1", true),
            ("::ffff:0.0.0.0", true),
            ("127.0.0.1", false),
            ("::1", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(is_never_a_host(text.parse().unwrap()), never, "{text}");
        }
    }
}
