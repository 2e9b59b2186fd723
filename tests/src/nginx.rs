//! A real nginx as an application.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::http::{self, Response};
use crate::process::{is_alive, kill_group};
use crate::root::{Root, free_address};

/// The path of Debian's program.
pub const PROGRAM: &str = "/usr/sbin/nginx";

/// The folder of its files, relative to the root.
const FOLDER: &str = "nginx";

/// The files of one nginx. Its remaining processes are killed with its test.
#[derive(Debug)]
pub struct Nginx {
    folder: PathBuf,
    /// Its address once it runs.
    pub address: SocketAddr,
}

impl Nginx {
    /// Writes its configuration into the root.
    pub fn lay_out(root: &Root) -> Self {
        let nginx = Self { folder: root.path().join(FOLDER), address: free_address() };
        nginx.configure(root, "");
        nginx
    }

    /// Writes the configuration again, with `more` as its first line.
    pub fn configure(&self, root: &Root, more: &str) {
        let address = self.address;
        let text = format!(
            "{more}
worker_processes 2;
pid nginx.pid;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    scgi_temp_path scgi;
    uwsgi_temp_path uwsgi;
    server {{
        listen {address};
        location / {{ return 200 \"well\\n\"; }}
    }}
}}
"
        );
        root.write(&format!("{FOLDER}/nginx.conf"), text);
    }

    /// The command line followed by `more`, as it is written in a module's file.
    pub fn command(&self, more: &[&str]) -> String {
        let folder = self.folder.display().to_string();
        let own = [PROGRAM, "-p", &folder, "-e", "stderr", "-c", "nginx.conf"];
        format!("{:?}", own.iter().chain(more).collect::<Vec<_>>())
    }

    /// The path of its pid file.
    pub fn pid_file(&self) -> PathBuf {
        self.folder.join("nginx.pid")
    }

    /// The master in its pid file, if it belongs to this test and is alive.
    pub fn master(&self) -> Option<u32> {
        let pid = fs::read_to_string(self.pid_file()).ok()?.trim().parse().ok()?;
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let ours = String::from_utf8_lossy(&line).contains(&*self.folder.to_string_lossy());
        (ours && is_alive(pid)).then_some(pid)
    }

    /// The present workers of a master.
    pub fn workers(master: u32) -> Vec<u32> {
        let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children"));
        children.unwrap_or_default().split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }

    pub fn ask(&self) -> Option<Response> {
        http::get(self.address, "/")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // One in the background leads its own group, which contains its workers.
        if let Some(master) = self.master() {
            kill_group(master);
        }
    }
}
