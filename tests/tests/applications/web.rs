//! Applications that are web servers.

use bellwether_tests::root::free_address;

use super::application::{Application, Child, Laid, Question};
use super::place::Place;
use super::transfer;

const PAGE: &str = "it serves\n";

pub(crate) const NGINX: Application = Application {
    name: "nginx",
    packages: "nginx-light",
    program: "/usr/sbin/nginx",
    child: Child::IsReplaced("worker process"),
    lay_out: nginx,
};

fn nginx(place: &Place) -> Laid {
    let (address, folder) = (free_address(), place.path().display());
    place.write("www/index.html", PAGE);
    transfer::lay_out(place, "www");
    let conf = place.write(
        "nginx.conf",
        format!(
            "user www-data; worker_processes 2; pid {folder}/nginx.pid; error_log stderr;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    scgi_temp_path {folder}/scgi; uwsgi_temp_path {folder}/uwsgi;
    server {{ listen {address}; root {folder}/www; }}
}}\n"
        ),
    );
    Laid::new(Question::page(address, "/", PAGE))
        .ends_transfers(address)
        .change("\"/usr/sbin/nginx\", ", format!("\"/usr/sbin/nginx\", \"-c\", \"{conf}\", "))
        .change("127.0.0.1:80", address.to_string())
}

pub(crate) const APACHE2: Application = Application {
    name: "apache2",
    packages: "apache2",
    program: "/usr/sbin/apache2",
    child: Child::IsReplaced("apache2"),
    lay_out: apache2,
};

fn apache2(place: &Place) -> Laid {
    let (address, folder) = (free_address(), place.path().display());
    place.write("www/index.html", PAGE);
    transfer::lay_out(place, "www");
    let conf = place.write(
        "apache2.conf",
        format!(
            "ServerName test
PidFile ${{APACHE_PID_FILE}}
User ${{APACHE_RUN_USER}}
Group ${{APACHE_RUN_GROUP}}
DefaultRuntimeDir ${{APACHE_RUN_DIR}}
ErrorLog ${{APACHE_LOG_DIR}}/error.log
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
Listen {address}
DocumentRoot {folder}/www\n"
        ),
    );
    Laid::new(Question::page(address, "/", PAGE))
        .ends_transfers(address)
        .change("\"/usr/sbin/apache2\", ", format!("\"/usr/sbin/apache2\", \"-f\", \"{conf}\", "))
        .change("\"/run/", format!("\"{folder}/run/"))
        .change("\"/var/log/", format!("\"{folder}/log/"))
        .change("127.0.0.1:80", address.to_string())
}

pub(crate) const LIGHTTPD: Application = Application {
    name: "lighttpd",
    packages: "lighttpd",
    program: "/usr/sbin/lighttpd",
    child: Child::None,
    lay_out: lighttpd,
};

fn lighttpd(place: &Place) -> Laid {
    let (address, folder) = (free_address(), place.path().display());
    place.write("www/index.html", PAGE);
    let conf = place.write(
        "lighttpd.conf",
        format!(
            "server.document-root = \"{folder}/www\"
server.bind = \"{}\"
server.port = {}
server.username = \"www-data\"
server.groupname = \"www-data\"
index-file.names = ( \"index.html\" )
server.modules = ( \"mod_indexfile\" )
server.feature-flags += (\"server.graceful-shutdown-timeout\" => 5)\n",
            address.ip(),
            address.port()
        ),
    );
    Laid::new(Question::page(address, "/", PAGE))
        .change("/etc/lighttpd/lighttpd.conf", conf)
        .change("127.0.0.1:80", address.to_string())
}

pub(crate) const CADDY: Application = Application {
    name: "caddy",
    packages: "caddy",
    program: "/usr/bin/caddy",
    child: Child::None,
    lay_out: caddy,
};

fn caddy(place: &Place) -> Laid {
    let (address, folder) = (free_address(), place.path().display());
    place.write("www/index.html", PAGE);
    let (ip, port) = (address.ip(), address.port());
    let conf = place.write(
        "Caddyfile",
        format!(
            "{{\n\tadmin off\n}}\nhttp://:{port} {{\n\tbind {ip}\n\troot * {folder}/www\n\tfile_server\n}}\n"
        ),
    );
    Laid::new(Question::page(address, "/", PAGE))
        .change("\"/etc/caddy/Caddyfile\"", format!("\"{conf}\", \"--adapter\", \"caddyfile\""))
        .change("127.0.0.1:80", address.to_string())
}
