//! Environment files, in the format of systemd's `EnvironmentFile=` and Debian's `/etc/default/NAME`
//! (systemd.exec(5)).
//!
//! ```text
//!   # a comment            ; another one
//!   KEY=value              blanks at the end are left out, \x is x, \ at the end of a line joins the next one
//!   KEY='as it is'         KEY="with \" \\ \$ \` and line ends"
//! ```
//! Lines that systemd ignores with a warning are errors here. Values are not expanded (`$HOME` stays as it is).

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use self::unix as system;
#[cfg(windows)]
use self::windows as system;

/// The maximum size of a file, in bytes.
const MAX_FILE: u64 = 256 << 10;

/// Why an environment file cannot be used. The errors do not contain values, which are often secrets.
#[derive(Debug, thiserror::Error)]
pub enum EnvFileError {
    /// The file does not exist.
    #[error("there is no such file")]
    Missing,
    /// It cannot be read.
    #[error("it cannot be read")]
    Unreadable(#[from] io::Error),
    /// It is a folder, a pipe or a device.
    #[error("it is not a regular file")]
    NoFile,
    /// A user who can write the file decides what the command does.
    #[error("others than root and the daemon's user may write it: `chmod go-w`, and root as its owner")]
    OthersMayWrite,
    /// Another user may control the target of a link.
    #[error("it is a symbolic link: name the file that it points to")]
    Link,
    /// A user who can write the folder decides which file this is.
    #[error(
        "others than root and the daemon's user may write in {0}: `chmod go-w {0}`, and root as its owner"
    )]
    OthersMayWriteIn(PathBuf),
    /// Most often it is the wrong file.
    #[error("it is longer than {MAX_FILE} bytes")]
    TooLong,
    /// It is not text.
    #[error("line {0} is not UTF-8, or contains a NUL character")]
    NoText(usize),
    /// A line that is not an assignment.
    #[error("line {0} is not `KEY=VALUE`")]
    NoAssignment(usize),
    /// The name of a variable consists of letters, digits and underscores.
    #[error("line {0}: `{1}` is not the name of a variable")]
    NoName(usize, String),
    /// A quote is not closed.
    #[error("line {0}: the quote does not end")]
    OpenQuote(usize),
    /// Text follows a closing quote.
    #[error("line {0}: there is text after the closing quote")]
    BehindQuote(usize),
}

/// The variables of the file, in its order.
pub fn read(path: &Path) -> Result<Vec<(String, String)>, EnvFileError> {
    let file = system::open(path)?;
    let mut text = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(EnvFileError::TooLong);
    }
    parse(&text)
}

fn parse(bytes: &[u8]) -> Result<Vec<(String, String)>, EnvFileError> {
    let lines = |before: &[u8]| before.split(|byte| *byte == b'\n').count();
    let text = std::str::from_utf8(bytes)
        .map_err(|error| EnvFileError::NoText(lines(bytes.get(..error.valid_up_to()).unwrap_or_default())))?;
    if let Some(at) = text.find('\0') {
        return Err(EnvFileError::NoText(lines(bytes.get(..at).unwrap_or_default())));
    }
    let mut reader = Reader { rest: text.chars().peekable(), line: 1 };
    let mut variables = Vec::new();
    while let Some(variable) = reader.assignment()? {
        variables.push(variable);
    }
    Ok(variables)
}

struct Reader<'t> {
    rest: std::iter::Peekable<std::str::Chars<'t>>,
    line: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    /// The next line that is neither a comment nor empty.
    fn assignment(&mut self) -> Result<Option<(String, String)>, EnvFileError> {
        loop {
            match self.rest.peek() {
                None => return Ok(None),
                Some(blank) if blank.is_whitespace() => {
                    self.next();
                }
                Some('#' | ';') => while self.next().is_some_and(|next| next != '\n') {},
                Some(_) => return Ok(Some((self.name()?, self.value()?))),
            }
        }
    }

    fn name(&mut self) -> Result<String, EnvFileError> {
        let line = self.line;
        let mut name = String::new();
        loop {
            match self.next() {
                Some('=') => break,
                None | Some('\n') => return Err(EnvFileError::NoAssignment(line)),
                Some(next) => name.push(next),
            }
        }
        let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.chars().all(|next| next.is_ascii_alphanumeric() || next == '_');
        if is_name { Ok(name) } else { Err(EnvFileError::NoName(line, name.escape_debug().to_string())) }
    }

    fn value(&mut self) -> Result<String, EnvFileError> {
        while self.rest.next_if(|next| matches!(next, ' ' | '\t' | '\r')).is_some() {}
        match self.rest.next_if(|next| matches!(next, '\'' | '"')) {
            Some(quote) => self.quoted(quote),
            None => Ok(self.unquoted()),
        }
    }

    fn unquoted(&mut self) -> String {
        let mut value = String::new();
        // The length to keep although it is blank: a backslash preceded it.
        let mut kept = 0;
        loop {
            match self.next() {
                None | Some('\n') => break,
                Some('\\') => match self.next() {
                    None => break,
                    Some('\n') => {}
                    Some(escaped) => {
                        value.push(escaped);
                        kept = value.len();
                    }
                },
                Some(next) => value.push(next),
            }
        }
        let trimmed = value.trim_end_matches([' ', '\t', '\r']).len();
        value.truncate(trimmed.max(kept));
        value
    }

    fn quoted(&mut self, quote: char) -> Result<String, EnvFileError> {
        let line = self.line;
        let mut value = String::new();
        loop {
            match self.next().ok_or(EnvFileError::OpenQuote(line))? {
                next if next == quote => break,
                '\\' if quote == '"' => match self.next().ok_or(EnvFileError::OpenQuote(line))? {
                    '\n' => {}
                    escaped @ ('"' | '\\' | '`' | '$') => value.push(escaped),
                    other => value.extend(['\\', other]),
                },
                next => value.push(next),
            }
        }
        let line = self.line;
        loop {
            match self.next() {
                None | Some('\n') => return Ok(value),
                Some(' ' | '\t' | '\r') => {}
                Some(_) => return Err(EnvFileError::BehindQuote(line)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, chown};

    fn values(text: &str) -> Vec<String> {
        parse(text.as_bytes()).unwrap().into_iter().map(|(key, value)| format!("{key}={value}")).collect()
    }

    fn why(text: &[u8]) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_file_of_the_usual_shape_is_read_as_systemd_reads_it() {
        let text = "# Tomcat\n; old style\n\n  JAVA_HOME=/usr/lib/jvm/default-java  \nEMPTY=\nOPTS=-Xmx1g \\\n-Xms1g\n\
            QUOTED=\"a \\\"b\\\" \\$HOME \\n #c\" \nLONG='one\ntwo \\'\r\nBLANK=a\\ \nHASH=a#b # c\n_9=x=y";
        let expected = [
            "JAVA_HOME=/usr/lib/jvm/default-java",
            "EMPTY=",
            "OPTS=-Xmx1g -Xms1g",
            "QUOTED=a \"b\" $HOME \\n #c",
            "LONG=one\ntwo \\",
            "BLANK=a ",
            "HASH=a#b # c",
            "_9=x=y",
        ];
        assert_eq!(values(text), expected);
        assert_eq!(values("#only a comment"), [""; 0]);
    }

    #[test]
    fn a_bad_line_is_named_and_no_value_is_shown() {
        assert_eq!(why(b"A=1\n\nsecret\n"), "line 3 is not `KEY=VALUE`");
        assert_eq!(why(b"export A=1\n"), "line 1: `export A` is not the name of a variable");
        assert_eq!(why(b"=1"), "line 1: `` is not the name of a variable");
        assert_eq!(why(b"A=1\nB='x\ny"), "line 2: the quote does not end");
        assert_eq!(why(b"A=\"x\\"), "line 1: the quote does not end");
        assert_eq!(why(b"A='x' y\n"), "line 1: there is text after the closing quote");
        assert_eq!(why(b"A=1\nB=\xff\n"), "line 2 is not UTF-8, or contains a NUL character");
        assert_eq!(why(b"A=1\nB=\0\n"), "line 2 is not UTF-8, or contains a NUL character");
    }

    #[test]
    fn only_a_file_that_nobody_else_may_write_is_read() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("app");
        let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(read(&path), Err(EnvFileError::Missing)));
        assert!(matches!(read(root.path()), Err(EnvFileError::NoFile)));
        fs::write(&path, "A=1\n").unwrap();
        mode(0o644);
        assert_eq!(read(&path).unwrap(), [("A".to_owned(), "1".to_owned())]);
        for others in [0o664, 0o646, 0o622] {
            mode(others);
            assert!(matches!(read(&path), Err(EnvFileError::OthersMayWrite)), "{others:o}");
        }
        mode(0o600);
        // Only root can change the owner of a file.
        if rustix::process::geteuid().is_root() {
            chown(&path, Some(4711), None).unwrap();
            assert!(matches!(read(&path), Err(EnvFileError::OthersMayWrite)));
            chown(&path, Some(0), None).unwrap();
        }
        fs::write(&path, vec![b'#'; 300 << 10]).unwrap();
        assert!(matches!(read(&path), Err(EnvFileError::TooLong)));
    }

    #[test]
    fn who_may_write_on_the_way_to_a_file_cannot_choose_another() {
        let root = tempfile::tempdir().unwrap();
        let (folder, path) = (root.path().join("conf"), root.path().join("conf/app"));
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        fs::create_dir(&folder).unwrap();
        mode(&folder, 0o755);
        fs::write(&path, "A=1\n").unwrap();
        mode(&path, 0o600);
        assert!(read(&path).is_ok());
        let link = root.path().join("conf/link");
        std::os::unix::fs::symlink("app", &link).unwrap();
        assert!(matches!(read(&link), Err(EnvFileError::Link)));
        // A folder may be a link, if the link is in a folder of root.
        let linked = root.path().join("linked");
        std::os::unix::fs::symlink("conf", &linked).unwrap();
        assert!(read(&linked.join("app")).is_ok());
        let refused = |path: &Path, folder: &Path| {
            let told = read(path).unwrap_err().to_string();
            assert!(told.contains(&format!("may write in {}: `chmod go-w", folder.display())), "{told}");
        };
        for others in [0o775, 0o757, 0o1777] {
            mode(&folder, others);
            refused(&path, &folder.canonicalize().unwrap());
        }
        mode(&folder, 0o755);
        mode(root.path(), 0o777);
        refused(&path, &root.path().canonicalize().unwrap());
        refused(&linked.join("app"), &root.path().canonicalize().unwrap());
        if rustix::process::geteuid().is_root() {
            mode(root.path(), 0o1777);
            assert!(read(&path).is_ok());
            mode(root.path(), 0o755);
            chown(&folder, Some(4711), None).unwrap();
            refused(&path, &folder.canonicalize().unwrap());
        }
        assert!(matches!(read(&path.join("below")), Err(EnvFileError::Missing)));
    }

    proptest! {
        #[test]
        fn no_file_makes_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[A-C=\"'\\\\\n #;]{0,60}") {
            let _ = parse(&bytes);
            let _ = parse(text.as_bytes());
        }

        #[test]
        fn a_value_in_single_quotes_is_as_it_stands(value in "[^'\0]{0,40}") {
            let read = parse(format!("A='{value}'\n").as_bytes()).unwrap();
            prop_assert_eq!(read, [("A".to_owned(), value)]);
        }
    }
}
