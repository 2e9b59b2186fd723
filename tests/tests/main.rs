//! All tests of the real daemon, in one binary: it is linked once, and its suites run concurrently.
//!
//! A suite is a module, so its name begins the names of its tests: `cargo test -p bellwether-tests soak`
//! runs one suite, `hostile_suite::cpu` a part of one.
//!
//! Tests start in the order of their names. `all_languages` waits longest, for components with a language runtime
//! to be compiled, so its name comes first and the others run beside it.
//!
//! Suites share the process. They do not change its global state (variables, limits, the current folder); a test
//! that needs another state sets it for the processes that it starts.

mod all_languages;
mod announcements;
mod api_roles;
mod api_roles_as_meant;
mod applications;
mod balancers;
mod belonging;
mod checkers_that_see;
mod commands;
mod console_listener;
mod demo;
mod demo_farm;
mod drains;
mod farm;
mod granted_facilities;
mod grants;
mod handover;
mod haproxy_operators;
mod hostile_guests;
mod hostile_suite;
mod hot_reload;
mod http_grant;
mod journal;
mod keepalived;
mod kill_anywhere;
mod last_good_versions;
mod lasting;
mod load_balancers;
mod marks;
mod mistakes;
mod nginx_application;
mod notifications;
mod pressure;
mod replacements;
mod replay;
mod running;
mod simulate;
mod slow_start;
mod soak;
mod story;
mod streams_end;
mod support_bundle;
mod survival;
mod telemetry;
mod terminal;
