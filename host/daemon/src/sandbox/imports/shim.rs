//! Until grants of these kinds can be written in a module's file, nobody has any.

use std::net::IpAddr;
use std::path::Path;

use bellwether_core::grant::{Grants, Refusal};
use bellwether_core::id::CommandName;

pub(super) trait Shim {
    fn secret(&self, name: &str) -> Result<&Path, Refusal>;
    fn may_run(&self, name: &str) -> Result<&CommandName, Refusal>;
    fn may_see_processes(&self) -> Result<(), Refusal>;
    fn may_ping(&self, ip: IpAddr, name: Option<&str>) -> Result<(), Refusal>;
    fn may_ping_name(&self, name: &str) -> Result<(), Refusal>;
}

impl Shim for Grants {
    fn secret(&self, _name: &str) -> Result<&Path, Refusal> {
        Err(Refusal::Never("read a secret"))
    }
    fn may_run(&self, _name: &str) -> Result<&CommandName, Refusal> {
        Err(Refusal::Never("run a command"))
    }
    fn may_see_processes(&self) -> Result<(), Refusal> {
        Err(Refusal::Never("see processes"))
    }
    fn may_ping(&self, _ip: IpAddr, _name: Option<&str>) -> Result<(), Refusal> {
        Err(Refusal::Never("ping"))
    }
    fn may_ping_name(&self, _name: &str) -> Result<(), Refusal> {
        Err(Refusal::Never("ping"))
    }
}
