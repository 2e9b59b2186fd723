//! Finds drains that are shorter than the load balancers need.

use std::time::Duration;

use bellwether_api::NodeStatus;
use bellwether_core::moment::plain;

use super::finding::{Finding, advice};

/// A drain of zero may be intended, and a client that probes more than once a second is hardly a load balancer.
const ASKS_SELDOM: f64 = 1.0;

pub(super) fn look(status: &NodeStatus) -> Vec<Finding> {
    let too_short = |module: &bellwether_api::ModuleStatus| {
        let every = module.probed_every_s.filter(|every| *every >= ASKS_SELDOM)?;
        let told = |seconds: f64| plain(Duration::try_from_secs_f64(seconds).unwrap_or_default());
        let needed = told(module.drain_needed_s?);
        Some(advice(
            "drain",
            format!(
                "module `{}` drains for {}, and a load balancer probes it every {}: it may still send requests \
                 when the application stops",
                module.name,
                told(module.drain_s),
                told(every),
            ),
            format!("remove `[health] drain` from its file, or set it to \"{needed}\" or more"),
        ))
    };
    status.modules.iter().filter_map(too_short).collect()
}
