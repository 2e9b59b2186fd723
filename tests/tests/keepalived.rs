//! A real keepalived, configured as in `docs/load-balancers.md`: the virtual address follows the application.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bellwether_tests::balancer::block;
use bellwether_tests::binary::bellwether;
use bellwether_tests::eventually::within;
use bellwether_tests::namespaces::unshared;
use bellwether_tests::program::{find, run};
use bellwether_tests::root::Root;

/// Two checks, an election, and a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(120);

const KEEPALIVED: &str = "/usr/sbin/keepalived";

/// In its own network; records whether the virtual address exists.
const SCRIPT: &str = r#"
ip link set lo up
ip link add eth0 type veth peer name eth1
ip link set eth1 up
ip address add 10.0.0.11/24 dev eth0
ip link set eth0 up
"$1" run --root "$2" > "$2/log" 2>&1 &
"$3" --dont-fork --log-console --vrrp --use-file "$2/keepalived.conf" --pid "$2/keepalived.pid" \
    --vrrp_pid "$2/vrrp.pid" > "$2/keepalived.log" 2>&1 &
while :; do
    if ip -oneline address show dev eth0 | grep -q 10.0.0.100; then echo here; else echo away; fi > "$2/address.new"
    mv "$2/address.new" "$2/address"
    sleep 0.1
done
"#;

#[test]
fn the_virtual_address_is_there_as_long_as_the_application_serves() {
    let device = ["--net", "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1"];
    if find(KEEPALIVED).is_none() || run("unshare", &device).is_none() {
        eprintln!("skipped: {KEEPALIVED} is not installed, or there is no network of a test's own to be had");
        return;
    }
    let root = Root::default();
    root.write(
        "modules/web.toml",
        "[commands]\nstart = { run = [\"/bin/sleep\", \"1003\"], keep = true }\n[health]\ndrain = \"0s\"\n",
    );
    let text = block("keepalived", "keepalived")
        .replace("/usr/bin/bellwether", &bellwether().display().to_string())
        .replace("/etc/bellwether", &root.path().display().to_string());
    root.write("keepalived.conf", text);
    let Some(_inside) = unshared(&["--net"], SCRIPT, &[bellwether(), root.path(), Path::new(KEEPALIVED)])
    else {
        return;
    };
    let address = || fs::read_to_string(root.path().join("address")).unwrap_or_default();
    let until_address_is = |word: &str| {
        within(PATIENCE, &format!("the address is {word}"), || (address().trim() == word).then_some(()));
    };
    let tell = |command: &str| {
        let program = bellwether().display().to_string();
        let folder = root.path().display().to_string();
        within(PATIENCE, command, || run(&program, &[command, "web", "--root", &folder]));
    };
    until_address_is("here");
    tell("stop");
    until_address_is("away");
    tell("start");
    until_address_is("here");
}
