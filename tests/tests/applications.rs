//! Real applications with the recipes of the docs: started, killed, hung, found again and stopped by the real
//! daemon, with data that they had confirmed.
//!
//! Every run has four that represent the others: a server with workers, a single process, a database, and a
//! language with its own server. A long run (`BELLWETHER_LONG=1`) has all that are installed; `tests/applications`
//! installs them, and writes the results to `docs/recipes.md`.

mod application;
mod databases;
mod directory;
mod languages;
mod mail;
mod names;
mod place;
mod proxies;
mod queues;
mod simulated;
mod table;
mod transfer;
mod trees;
mod trial;
mod web;

use std::fs;

use bellwether_tests::long::is_long;
use bellwether_tests::program::is_installed;

use self::application::{Application, recipe, recipes};
use self::trial::Trial;

/// One test for each application, by the name of its recipe.
macro_rules! applications {
    (every run: $($quick:ident in $quick_place:path),+; long run: $($name:ident in $place:path),+ $(,)?) => {
        $(#[test] fn $quick() { every_run(&$quick_place); })+
        $(#[test] fn $name() { long_run(&$place); })+
        const ALL: &[&Application] = &[$(&$quick_place,)+ $(&$place,)+];
    };
}

applications! {
    every run:
        nginx in web::NGINX, node in languages::NODE, postgresql in databases::POSTGRESQL, redis in databases::REDIS;
    long run:
        apache2 in web::APACHE2,
        beanstalkd in queues::BEANSTALKD,
        caddy in web::CADDY,
        dnsmasq in names::DNSMASQ,
        dovecot in mail::DOVECOT,
        etcd in databases::ETCD,
        gunicorn in languages::GUNICORN,
        haproxy in proxies::HAPROXY,
        lighttpd in web::LIGHTTPD,
        mariadb in databases::MARIADB,
        memcached in databases::MEMCACHED,
        mosquitto in queues::MOSQUITTO,
        named in names::NAMED,
        nats in queues::NATS,
        pgbouncer in databases::PGBOUNCER,
        php_fpm in languages::PHP_FPM,
        postfix in mail::POSTFIX,
        prometheus in databases::PROMETHEUS,
        rabbitmq in queues::RABBITMQ,
        slapd in directory::SLAPD,
        squid in proxies::SQUID,
        tomcat in languages::TOMCAT,
        unbound in names::UNBOUND,
        uvicorn in languages::UVICORN,
        uwsgi in languages::UWSGI,
        varnish in proxies::VARNISH,
        vsftpd in mail::VSFTPD,
}

fn every_run(application: &'static Application) {
    // Most recipes run the application as another user than the daemon.
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: {} is run as its own user, which only root can do", application.name);
    } else if is_installed(application.program) {
        play(application);
    }
}

fn long_run(application: &'static Application) {
    if !is_long() {
        eprintln!("skipped: {} is part of a long run (tests/applications)", application.name);
    } else if fs::exists(application.program).is_ok_and(|there| there) {
        every_run(application);
    } else {
        eprintln!("skipped: {} is not installed: apt-get install {}", application.name, application.packages);
    }
}

fn play(application: &'static Application) {
    let mut trial = Trial::begin(application);
    trial.child_killed();
    trial.killed();
    trial.killed_while_busy();
    trial.hung();
    trial.daemon_killed();
    trial.stopped();
    trial.slow_start();
    trial.end();
}

#[test]
fn each_recipe_of_the_docs_is_tested() {
    let mut tested: Vec<_> = ALL.iter().map(|application| application.name.to_owned()).collect();
    tested.sort();
    assert_eq!(recipes(), tested);
    for name in tested {
        assert!(recipe(&name).starts_with("# "), "{name}: a recipe begins with what it is for");
    }
}
