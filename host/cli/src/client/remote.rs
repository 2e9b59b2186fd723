//! A daemon on another host: over HTTPS, with a token.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use bellwether_config::certificate::Fingerprint;
use bellwether_server::site::is_loopback;
use clap::Args;
use hyper::Uri;
use hyper::header::HeaderValue;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Io;
use super::profile::{Profile, ProfileName, Profiles};
use super::token::{self, TokenSource};
use super::trust::{Trust, Verifier};
use crate::exit::{Exit, Failure};

/// The daemon on another host, and how it is authenticated.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "A daemon on another host")]
pub(crate) struct RemoteArgs {
    /// The console of the daemon to use, instead of this host's daemon: `https://host:9013`
    #[arg(long, global = true, value_name = "URL", conflicts_with = "root")]
    url: Option<String>,

    /// Ask the daemon of this profile: see `bellwether help profile`
    #[arg(long, global = true, value_name = "NAME", conflicts_with_all = ["root", "url"])]
    profile: Option<ProfileName>,

    /// A file with the token, readable only by you; or set the variable `BELLWETHER_TOKEN`
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Trust this one certificate: its SHA-256, as the daemon prints it when it starts
    #[arg(long, global = true, value_name = "SHA256", conflicts_with = "ca", value_parser = fingerprint)]
    fingerprint: Option<Fingerprint>,

    /// Trust the authorities in this file (PEM), in addition to the system's
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
}

fn fingerprint(text: &str) -> Result<Fingerprint, &'static str> {
    Fingerprint::parse(text).ok_or("expected 64 hexadecimal digits, with or without colons")
}

/// Whether the text is the URL of a console.
pub(super) fn check_url(url: &str) -> Result<(), Failure> {
    Endpoint::parse(url).map(drop)
}

impl RemoteArgs {
    /// The option that selects a daemon on another host, if one does.
    pub(crate) fn option(&self) -> Option<&'static str> {
        self.named().map(|(option, _)| option)
    }

    /// The option that names a daemon of another host, and its value.
    pub(crate) fn named(&self) -> Option<(&'static str, String)> {
        let url = self.url.as_ref().map(|url| ("--url", url.clone()));
        url.or_else(|| self.profile.as_ref().map(|profile| ("--profile", profile.to_string())))
    }

    /// The first of these options that is given, for commands that ask no daemon.
    pub(crate) fn any_option(&self) -> Option<&'static str> {
        let others = [
            (self.token_file.is_some(), "--token-file"),
            (self.fingerprint.is_some(), "--fingerprint"),
            (self.ca.is_some(), "--ca"),
        ];
        self.option().or_else(|| others.into_iter().find(|(given, _)| *given).map(|(_, option)| option))
    }

    /// The daemon on another host, if one is selected.
    pub(crate) fn find(&self) -> Result<Option<Remote>, Failure> {
        let profile = match &self.profile {
            Some(name) => self.over(Profiles::of_user()?.read(name)?),
            None if self.url.is_some() => self.to_profile()?,
            None => return self.refuse_unrelated().map(|()| None),
        };
        profile.find().map(Some)
    }

    /// Rejects options for a daemon on another host if none is selected: a command that was meant for that daemon
    /// must not be sent to this host's.
    pub(crate) fn refuse_unrelated(&self) -> Result<(), Failure> {
        if self.option().is_some() {
            return Ok(());
        }
        match self.any_option() {
            None => Ok(()),
            Some(option) => Err(usage(
                format!("{option} is about a daemon on another host, and none is given"),
                format!("add --profile NAME or --url https://host:9013, or omit {option}"),
            )),
        }
    }

    /// A profile, overridden by the given options.
    fn over(&self, profile: Profile) -> Profile {
        let trust = if self.fingerprint.is_some() || self.ca.is_some() {
            (self.fingerprint, self.ca.clone())
        } else {
            (profile.fingerprint, profile.ca)
        };
        let token_file = self.token_file.clone().or(profile.token_file);
        Profile { url: profile.url, token_file, fingerprint: trust.0, ca: trust.1 }
    }

    /// A profile from the given options. Its paths are absolute.
    pub(crate) fn to_profile(&self) -> Result<Profile, Failure> {
        let Some(url) = self.url.clone() else {
            return Err(usage(
                "no daemon is named",
                "name the address of its console: --url https://host:9013",
            ));
        };
        let token_file = self.token_file.as_ref().map(std::path::absolute).transpose()?;
        let ca = self.ca.as_ref().map(std::path::absolute).transpose()?;
        Ok(Profile { url, token_file, fingerprint: self.fingerprint, ca })
    }
}

impl Profile {
    /// The daemon that the options select.
    pub(crate) fn find(&self) -> Result<Remote, Failure> {
        let place = Endpoint::parse(&self.url)?;
        let secured = if place.secure {
            let trust = match (self.fingerprint, &self.ca) {
                (Some(fingerprint), _) => Trust::One(fingerprint),
                (None, ca) => Trust::Authorities(ca.clone()),
            };
            Some(Verifier::new(trust)?)
        } else {
            None
        };
        let (bearer, source) = token::find(self.token_file.as_deref())?;
        Ok(Remote { place, bearer, source, secured })
    }
}

pub(super) fn usage(what: impl Into<String>, next: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, what, next)
}

/// Where a daemon is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Endpoint {
    host: String,
    port: u16,
    secure: bool,
}

impl Endpoint {
    fn parse(url: &str) -> Result<Self, Failure> {
        let wrong = |why: &str| {
            usage(format!("`{url}` is not the URL of a console: {why}"), "write it as https://host:9013")
        };
        let uri: Uri = url.parse().map_err(|_| wrong("it is invalid"))?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong("it does not begin with https:// or http://")),
        };
        if uri.path() != "/" || uri.query().is_some() {
            return Err(wrong("it has more than a host and a port"));
        }
        let host = uri.host().unwrap_or_default();
        if host.is_empty() || uri.authority().is_some_and(|all| all.as_str().contains('@')) {
            return Err(wrong("it has no valid host"));
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let here = host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(is_loopback);
        if !secure && !here {
            return Err(wrong("plain http is only for this host: others could read the token in transit"));
        }
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        Ok(Self { host, port, secure })
    }

    /// In the form of a `Host` header.
    fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// A daemon on another host.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    place: Endpoint,
    bearer: Option<HeaderValue>,
    source: TokenSource,
    secured: Option<Arc<Verifier>>,
}

impl Remote {
    /// In the form for users: `https://host:9013`.
    pub(super) fn shown(&self) -> String {
        let scheme = if self.place.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.place.authority())
    }

    pub(super) fn authority(&self) -> String {
        self.place.authority()
    }

    /// Where its token comes from.
    pub(super) fn token_source(&self) -> &TokenSource {
        &self.source
    }

    pub(super) fn bearer(&self) -> Option<&HeaderValue> {
        self.bearer.as_ref()
    }

    /// A connection, encrypted if it leaves this host.
    pub(super) async fn connect(&self) -> Result<Box<dyn Io>, Failure> {
        let Endpoint { host, port, .. } = &self.place;
        let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(|error| {
            Failure::new(
                Exit::NoDaemon,
                format!("there is no answer from {}: {error}", self.shown()),
                "check that the daemon is running there, and `listen` in [console] of its bellwether.toml",
            )
        })?;
        let Some(verifier) = &self.secured else { return Ok(Box::new(stream)) };
        let config = verifier.config()?;
        let name = ServerName::try_from(host.clone()).context("the URL's host is not a valid name")?;
        let secured = TlsConnector::from(config).connect(name, stream).await;
        match secured {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(verifier.explain(&self.shown(), &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_host_and_a_port_and_plain_only_to_this_host() {
        let of = |url: &str| Endpoint::parse(url).map(|place| (place.authority(), place.secure));
        for (url, authority, secure) in [
            ("https://node-1:9013", "node-1:9013", true),
            ("https://node-1:9013/", "node-1:9013", true),
            ("https://console.example.org", "console.example.org:443", true),
            ("https://[2001:db8::1]:9013", "[2001:db8::1]:9013", true),
            ("http://127.0.0.1:9013", "127.0.0.1:9013", false),
            ("http://[::1]:9013", "[::1]:9013", false),
            ("http://localhost:9013", "localhost:9013", false),
        ] {
            assert_eq!(of(url).unwrap(), (authority.to_owned(), secure), "{url}");
        }
        for (url, why) in [
            ("http://node-1:9013", "only for this host"),
            ("http://127.0.0.1.example:9013", "only for this host"),
            ("node-1:9013", "does not begin with"),
            ("ftp://node-1", "does not begin with"),
            ("https://node-1/console", "more than a host"),
            ("https://a@node-1", "no valid host"),
            ("https://", "it is invalid"),
        ] {
            let failure = of(url).unwrap_err();
            assert_eq!(failure.exit(), Exit::Usage);
            assert!(failure.to_string().contains(why), "{url}: {failure}");
        }
    }

    #[test]
    fn what_is_given_on_the_command_line_takes_the_place_of_what_a_profile_says() {
        let [one, other] = ["AB", "CD"].map(|digits| Fingerprint::parse(&digits.repeat(32)));
        let profile = Profile {
            url: "https://node-1:9013".to_owned(),
            token_file: Some(PathBuf::from("/profile/token")),
            fingerprint: one,
            ca: None,
        };
        assert_eq!(RemoteArgs::default().over(profile.clone()), profile);

        let token = RemoteArgs { token_file: Some(PathBuf::from("token")), ..RemoteArgs::default() };
        let expected = Profile { token_file: Some(PathBuf::from("token")), ..profile.clone() };
        assert_eq!(token.over(profile.clone()), expected);

        let certificate = RemoteArgs { fingerprint: other, ..RemoteArgs::default() };
        assert_eq!(certificate.over(profile.clone()), Profile { fingerprint: other, ..profile.clone() });

        let authority = RemoteArgs { ca: Some(PathBuf::from("ca.pem")), ..RemoteArgs::default() };
        let expected = Profile { fingerprint: None, ca: Some(PathBuf::from("ca.pem")), ..profile.clone() };
        assert_eq!(
            authority.over(profile),
            expected,
            "the certificate of the profile does not count besides"
        );
    }

    /// Each option that is useful only with `--url` or `--profile`, alone.
    fn unrelated() -> [(&'static str, RemoteArgs); 3] {
        let file = || Some(PathBuf::from("file"));
        let fingerprint = Fingerprint::parse(&"AB".repeat(32));
        assert!(fingerprint.is_some());
        [
            ("--token-file", RemoteArgs { token_file: file(), ..RemoteArgs::default() }),
            ("--fingerprint", RemoteArgs { fingerprint, ..RemoteArgs::default() }),
            ("--ca", RemoteArgs { ca: file(), ..RemoteArgs::default() }),
        ]
    }

    #[test]
    fn options_of_another_host_are_refused_where_none_is_named() {
        assert!(RemoteArgs::default().find().unwrap().is_none());
        for (option, args) in unrelated() {
            for failure in [args.find().unwrap_err(), args.refuse_unrelated().unwrap_err()] {
                assert_eq!(failure.exit(), Exit::Usage, "{option}");
                assert_eq!(
                    failure.to_string(),
                    format!(
                        "error: {option} is about a daemon on another host, and none is given\n  \
                         next: add --profile NAME or --url https://host:9013, or omit {option}"
                    )
                );
            }
            let named = RemoteArgs { url: Some("https://node-1:9013".to_owned()), ..args };
            assert!(named.refuse_unrelated().is_ok(), "{option}");
        }
    }

    #[test]
    fn a_profile_is_made_of_what_is_given_with_absolute_paths() {
        assert_eq!(RemoteArgs::default().to_profile().unwrap_err().exit(), Exit::Usage);
        let given = RemoteArgs {
            url: Some("https://node-1:9013".to_owned()),
            token_file: Some(PathBuf::from("token")),
            ca: Some(PathBuf::from("/etc/ca.pem")),
            ..RemoteArgs::default()
        };
        let profile = given.to_profile().unwrap();
        assert_eq!(profile.token_file, Some(std::env::current_dir().unwrap().join("token")));
        assert_eq!(profile.ca, Some(PathBuf::from("/etc/ca.pem")));
    }
}
