//! Proxies. Their upstream servers do not matter here: each has an answer of its own.

use bellwether_tests::root::free_address;

use super::application::{Application, Child, Laid, Question};
use super::place::Place;

pub(crate) const HAPROXY: Application = Application {
    name: "haproxy",
    packages: "haproxy",
    program: "/usr/sbin/haproxy",
    child: Child::EndsAll("haproxy"),
    lay_out: haproxy,
};

fn haproxy(place: &Place) -> Laid {
    let address = free_address();
    let conf = place.write(
        "haproxy.cfg",
        format!(
            "global\n    user haproxy\n    group haproxy
defaults\n    mode http\n    timeout connect 5s\n    timeout client 1m\n    timeout server 1m
frontend all\n    bind {address}\n    monitor-uri /haproxy-health\n"
        ),
    );
    Laid::new(Question::page(address, "/haproxy-health", "200 OK"))
        .change("/etc/haproxy/haproxy.cfg", conf)
        .change("127.0.0.1:80", address.to_string())
}

pub(crate) const VARNISH: Application = Application {
    name: "varnish",
    packages: "varnish",
    program: "/usr/sbin/varnishd",
    child: Child::IsReplaced("varnishd"),
    lay_out: varnish,
};

fn varnish(place: &Place) -> Laid {
    let (address, cli) = (free_address(), free_address());
    let vcl = place.write(
        "default.vcl",
        "vcl 4.1;
backend default none;
sub vcl_recv { if (req.url == \"/varnish-health\") { return (synth(200)); } }\n",
    );
    let secret = place.write("secret", "a secret of this test\n");
    let folder = place.folder_of("root", "work");
    Laid::new(Question::page(address, "/varnish-health", "200 OK"))
        .change("\"-F\",", format!("\"-F\", \"-n\", \"{folder}\","))
        .change("/etc/varnish/default.vcl", vcl)
        .change("/etc/varnish/secret", secret)
        .change("\":6081\"", format!("\"{address}\""))
        .change("localhost:6082", cli.to_string())
        .change("malloc,256m", "malloc,16m")
        .change("127.0.0.1:6081", address.to_string())
}

pub(crate) const SQUID: Application = Application {
    name: "squid",
    packages: "squid",
    program: "/usr/sbin/squid",
    child: Child::IsReplaced("squid-1"),
    lay_out: squid,
};

fn squid(place: &Place) -> Laid {
    let address = free_address();
    let own = place.folder_of("proxy", "own");
    let conf = place.write(
        "squid.conf",
        format!(
            "http_port {address}
visible_hostname test
http_access allow localhost
http_access deny all
pid_filename {own}/squid.pid
access_log none
cache_log {own}/cache.log
coredump_dir {own}
pinger_enable off
shutdown_lifetime 2 seconds\n"
        ),
    );
    let icon = "/squid-internal-static/icons/SN.png";
    Laid::new(Question::page(address, icon, "200 OK"))
        .change("/etc/squid/squid.conf", conf)
        .change("127.0.0.1:3128", address.to_string())
}
