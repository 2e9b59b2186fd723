//! `install`: installs the binary, the unit, the folders and an example on this machine, and removes them.

mod archive;
mod key;
mod place;
mod shared;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bellwether_os::socket::is_answered;
use clap::Args;

use self::archive::Release;
use self::place::{Done, Owner, Place};
use self::shared::Shared;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{Output, Tone};

/// The unit of systemd, from the Debian package.
pub(crate) const UNIT: &str = include_str!("../../package/bellwether.service");
/// Its first line is the mark by which a later version recognises a file that it wrote.
const MARK: &str = "# Written by bellwether.";
const NODE_FILE: &str = include_str!("../../package/bellwether.toml");
const EXAMPLE: &str = include_str!("../../package/example.toml.sample");
/// The path of the binary in the package's unit.
const PACKAGED: &str = "/usr/bin/bellwether";

/// Install this binary as a system service, or remove it
///
/// Writes the binary, a systemd unit, the folders in /etc/bellwether and /var/lib/bellwether, and
/// an example. To upgrade, run it again, then `systemctl restart bellwether`, which does not touch
/// the applications. Your own files and edited files are never overwritten.
///
/// With --archive it installs a release from its archive instead of this binary, with documents, the manual
/// page and completions below PREFIX/share. Nothing is written before the signature and all checksums of the
/// archive have been verified.
#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// Install this signed archive of a release: bellwether-VERSION-ARCH-linux.tar.gz
    #[arg(long, value_name = "FILE", conflicts_with = "uninstall")]
    archive: Option<PathBuf>,

    /// The releaser's public key (minisign), or a file with it; default: /etc/bellwether/release.pub
    #[arg(long, value_name = "KEY", requires = "archive")]
    key: Option<String>,

    /// Install the binary into PREFIX/bin
    #[arg(long, value_name = "DIR", default_value = "/usr/local")]
    prefix: PathBuf,

    /// The root directory of the system to install into, such as an image
    #[arg(long, value_name = "DIR", default_value = "/")]
    root_dir: PathBuf,

    /// Run the daemon as this user, who must exist; restart scripts then have only the permissions of that user
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,

    /// Remove the installation; configuration, data and edited files are kept
    #[arg(long)]
    uninstall: bool,
}

pub(crate) fn run(args: &InstallArgs, output: &mut Output) -> Outcome {
    let place = Place::new(&args.root_dir, args.dry_run);
    let steps = if args.uninstall {
        uninstall(args, &place)?
    } else {
        let contents = match &args.archive {
            Some(file) => Contents::of_archive(args, file, &place, output)?,
            None => Contents::own()?,
        };
        install(args, &place, &contents)?
    };
    let rows = steps.iter().map(|(path, done)| {
        let (tone, what) = done.shown(args.dry_run);
        vec![(Tone::Plain, path.display().to_string()), (tone, what)]
    });
    output.table(&["PATH", "WHAT"], rows.collect())?;
    let next = if args.uninstall {
        "next: systemctl daemon-reload"
    } else {
        "next: systemctl daemon-reload, then `systemctl enable --now bellwether` the first time, or \
         `systemctl restart bellwether` after an upgrade (the applications keep running); then `bellwether doctor`"
    };
    if !args.dry_run {
        writeln!(output, "\n{}", output.paint(Tone::Quiet, next))?;
    }
    Ok(Exit::Done)
}

type Steps = Vec<(PathBuf, Done)>;

/// The files to install.
#[derive(Debug)]
struct Contents {
    binary: Vec<u8>,
    unit: String,
    /// The files that operators may edit.
    node_file: String,
    example: String,
    /// Files that only an archive contains, by path relative to the prefix.
    shared: Option<BTreeMap<String, Vec<u8>>>,
}

impl Contents {
    /// This program, and its embedded files.
    fn own() -> anyhow::Result<Self> {
        let own = std::env::current_exe()?;
        let binary = std::fs::read(&own).with_context(|| own.display().to_string())?;
        let [unit, node_file, example] = [UNIT, NODE_FILE, EXAMPLE].map(str::to_owned);
        Ok(Self { binary, unit, node_file, example, shared: None })
    }

    /// The files of a verified release.
    fn of_archive(
        args: &InstallArgs,
        file: &Path,
        place: &Place,
        output: &mut Output,
    ) -> Result<Self, Failure> {
        let mut release = Release::read(file, &key::read(args.key.as_deref(), place)?)?;
        let (version, arch) = (&release.version, &release.arch);
        // An image may be for another machine.
        if args.root_dir == Path::new("/") && arch != std::env::consts::ARCH {
            let what = format!("the archive is for {arch}, and this machine is {}", std::env::consts::ARCH);
            return Err(Failure::new(Exit::Denied, what, "get the archive for this machine"));
        }
        let verified = format!(
            "Bellwether {version} for {arch}: the signature and the checksums of {} files are right",
            release.len()
        );
        writeln!(output, "{verified}\n")?;
        Ok(Self {
            binary: release.take("bin/bellwether")?,
            unit: release.take_text("system/bellwether.service")?,
            node_file: release.take_text("system/bellwether.toml")?,
            example: release.take_text("system/example.toml.sample")?,
            shared: Some(release.into_shared()),
        })
    }
}

/// The paths of everything, relative to the root of the system.
fn paths(args: &InstallArgs) -> (PathBuf, PathBuf) {
    (args.prefix.join("bin/bellwether"), PathBuf::from("/etc/systemd/system/bellwether.service"))
}

fn install(args: &InstallArgs, place: &Place, contents: &Contents) -> Result<Steps, Failure> {
    let owner = args.user.as_deref().map(|user| owner(place, user)).transpose()?;
    let (binary, unit) = paths(args);
    let mut steps = Steps::new();
    // With its record, which is read before anything is written.
    if let Some(shared) = &contents.shared {
        steps.extend(Shared::new(place, &args.prefix).put(shared)?);
    }
    let text = unit_for(&contents.unit, &binary, args.user.as_deref());
    steps.push((unit.clone(), place.ours(&unit, &text, MARK)?));
    let folders = [
        ("/etc/bellwether", 0o755, owner),
        ("/etc/bellwether/modules", 0o755, None),
        ("/etc/bellwether/checkers", 0o755, None),
        ("/etc/bellwether/restart-scripts", 0o755, None),
        ("/var/lib/bellwether", 0o700, owner),
    ];
    for (folder, mode, owner) in folders {
        steps.push((folder.into(), place.folder(Path::new(folder), mode, owner)?));
    }
    for (file, text) in operators(&contents.node_file, &contents.example) {
        steps.push((file.into(), place.operators(Path::new(file), text)?));
    }
    // The program comes last: if something else fails, it is still the previous version.
    let replaced = place.put(&binary, &contents.binary, 0o755)?;
    steps.push((binary, replaced));
    Ok(steps)
}

/// The files that operators may edit.
fn operators<'a>(node_file: &'a str, example: &'a str) -> [(&'static str, &'a str); 2] {
    [("/etc/bellwether/bellwether.toml", node_file), ("/etc/bellwether/modules/example.toml.sample", example)]
}

fn uninstall(args: &InstallArgs, place: &Place) -> Result<Steps, Failure> {
    let socket = place.at(Path::new("/etc/bellwether/bellwether.sock"));
    if is_answered(&socket) {
        return Err(Failure::new(
            Exit::Denied,
            "the daemon is running",
            "stop it first: systemctl disable --now bellwether; its applications keep running",
        ));
    }
    let (binary, unit) = paths(args);
    let mut steps = vec![
        (binary.clone(), place.remove(&binary)?),
        (unit.clone(), place.remove_if(&unit, "kept: edited", |text| text.starts_with(MARK.as_bytes()))?),
        (
            "/etc/bellwether/bellwether.sock".into(),
            place.remove(Path::new("/etc/bellwether/bellwether.sock"))?,
        ),
    ];
    steps.extend(Shared::new(place, &args.prefix).remove()?);
    for link in ["/etc/bellwether/state", "/etc/bellwether/logs"] {
        steps.push((link.into(), place.remove_link(Path::new(link))?));
    }
    for (file, own) in operators(NODE_FILE, EXAMPLE) {
        // An archive of another version may have installed another text.
        let kept = "kept: differs from this version's";
        steps.push((file.into(), place.remove_if(Path::new(file), kept, |text| text == own.as_bytes())?));
    }
    for folder in [
        "/etc/bellwether/modules",
        "/etc/bellwether/checkers",
        "/etc/bellwether/restart-scripts",
        "/etc/bellwether",
        "/var/lib/bellwether",
    ] {
        steps.push((folder.into(), place.remove_folder(Path::new(folder))?));
    }
    steps.retain(|(_, done)| *done != Done::NotThere);
    Ok(steps)
}

/// The unit for a binary at this path, with this user.
pub(crate) fn unit_text(binary: &Path, user: Option<&str>) -> String {
    unit_for(UNIT, binary, user)
}

fn unit_for(unit: &str, binary: &Path, user: Option<&str>) -> String {
    let text = unit.replace(PACKAGED, &binary.display().to_string());
    let Some(user) = user else { return text };
    let service = format!(
        "[Service]\n\
         User={user}\n\
         # Ports below 1024, and to signal applications of other users.\n\
         AmbientCapabilities=CAP_NET_BIND_SERVICE CAP_KILL\n"
    );
    text.replacen("[Service]\n", &service, 1)
}

fn owner(place: &Place, user: &str) -> Result<Owner, Failure> {
    let file = place.at(Path::new("/etc/passwd"));
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let found = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        (name == user).then_some(Owner { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
    });
    found.ok_or_else(|| {
        let next = format!(
            "create it first: useradd --system --home-dir /var/lib/bellwether --shell /usr/sbin/nologin {user}"
        );
        Failure::new(Exit::Error, format!("there is no user `{user}` in {}", file.display()), next)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_names_the_binary_where_it_lies_and_the_user_if_there_is_one() {
        assert!(UNIT.starts_with(MARK) && UNIT.contains(PACKAGED));
        let text = unit_text(Path::new("/opt/bin/bellwether"), None);
        assert!(text.contains("ExecStart=/opt/bin/bellwether run ") && !text.contains("User="));
        assert_eq!(unit_text(Path::new(PACKAGED), None), UNIT);
        let text = unit_text(Path::new(PACKAGED), Some("bw"));
        assert_eq!(text.matches("\nUser=bw\n").count(), 1);
    }

    /// Installs the archive from the folder of the system.
    fn of_archive(system: &tempfile::TempDir) -> InstallArgs {
        let archive = system.path().join("release.tar.gz");
        std::fs::write(&archive, archive::tests::signed_archive()).unwrap();
        InstallArgs {
            archive: Some(archive),
            key: Some(archive::tests::KEY.to_owned()),
            prefix: "/usr/local".into(),
            root_dir: system.path().to_owned(),
            user: None,
            dry_run: false,
            uninstall: false,
        }
    }

    #[test]
    fn the_program_is_replaced_only_if_everything_else_has_been_installed() {
        use std::fs;

        let system = tempfile::tempdir().unwrap();
        let args = of_archive(&system);
        let at = |path: &str| system.path().join(path);
        let program = at("usr/local/bin/bellwether");
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        fs::write(&program, "the version before").unwrap();
        let failing = || {
            assert!(run(&args, &mut Output::standard()).is_err());
            assert_eq!(fs::read(&program).unwrap(), b"the version before");
        };

        let record = at("usr/local/share/doc/bellwether/installed");
        fs::create_dir_all(record.parent().unwrap()).unwrap();
        fs::write(&record, "damaged").unwrap();
        failing();
        assert!(!at("usr/local/share/doc/bellwether/README.md").exists(), "nothing was written");
        fs::remove_file(&record).unwrap();

        // A folder cannot be replaced by a file.
        let unit = at("etc/systemd/system/bellwether.service");
        fs::create_dir_all(&unit).unwrap();
        failing();
        fs::remove_dir(&unit).unwrap();

        run(&args, &mut Output::standard()).unwrap();
        assert_eq!(fs::read(&program).unwrap(), b"the program");
    }

    #[test]
    fn what_an_archive_brought_to_be_edited_is_not_called_edited() {
        let system = tempfile::tempdir().unwrap();
        let args = of_archive(&system);
        run(&args, &mut Output::standard()).unwrap();
        let place = Place::new(&args.root_dir, false);
        let args = InstallArgs { archive: None, key: None, uninstall: true, ..args };
        let steps = uninstall(&args, &place).unwrap();
        for (file, _) in operators(NODE_FILE, EXAMPLE) {
            let step = (PathBuf::from(file), Done::Kept("kept: differs from this version's"));
            assert!(steps.contains(&step), "{steps:?}");
        }
    }

    #[test]
    fn a_pipe_is_neither_an_archive_nor_a_key() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};

        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let key = pipe.to_str().map(str::to_owned);
        for args in [
            InstallArgs { archive: Some(pipe), ..of_archive(&folder) },
            InstallArgs { key, ..of_archive(&folder) },
        ] {
            let failure = run(&args, &mut Output::standard()).unwrap_err();
            assert!(failure.said().ends_with("it is not a regular file"), "{failure}");
        }
    }

    #[test]
    fn an_archive_is_installed_and_away_again() {
        let system = tempfile::tempdir().unwrap();
        let args = of_archive(&system);
        let archive = system.path().join("release.tar.gz");
        let read = |path: &str| std::fs::read_to_string(system.path().join(path)).unwrap_or_default();
        run(&args, &mut Output::standard()).unwrap();
        assert_eq!(read("usr/local/bin/bellwether"), "the program");
        assert_eq!(read("usr/local/share/doc/bellwether/README.md"), "what it does");
        assert_eq!(read("etc/systemd/system/bellwether.service"), "# Written by bellwether. A unit");
        assert_eq!(read("etc/bellwether/bellwether.toml"), "# this node");

        let mut damaged = std::fs::read(&archive).unwrap();
        damaged.truncate(damaged.len() - 1);
        std::fs::write(&archive, damaged).unwrap();
        std::fs::write(system.path().join("usr/local/bin/bellwether"), "the version before").unwrap();
        let failure = run(&args, &mut Output::standard()).unwrap_err();
        assert_eq!(failure.exit(), Exit::Denied);
        assert_eq!(read("usr/local/bin/bellwether"), "the version before");

        run(&InstallArgs { archive: None, key: None, uninstall: true, ..args }, &mut Output::standard())
            .unwrap();
        assert!(!system.path().join("usr/local/share").exists());
        assert!(!system.path().join("usr/local/bin/bellwether").exists());
    }

    #[test]
    fn the_examples_are_right() {
        use bellwether_config::{AnyHost, parse_module, parse_node};
        let open: String = NODE_FILE
            .lines()
            .map(|line| line.strip_prefix("# ").unwrap_or(line))
            .filter(|line| line.contains(" = ") || line.starts_with('['))
            .fold(String::new(), |all, line| all + line + "\n");
        assert!(open.contains("[shutdown]"));
        parse_node(&open, "host").unwrap();
        parse_node(NODE_FILE, "host").unwrap();
        parse_module("example".parse().unwrap(), "example.toml", EXAMPLE, &AnyHost).unwrap();
    }
}
