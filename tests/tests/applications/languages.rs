//! Languages with their own servers.

use std::net::SocketAddr;

use bellwether_tests::root::free_address;

use super::application::{Application, Ask, Child, Laid, Question};
use super::place::{Place, give, run};

const SERVES: &str = "it serves";

pub(crate) const NODE: Application = Application {
    name: "node",
    packages: "nodejs",
    program: "node",
    child: Child::IsReplaced("server.js"),
    lay_out: node,
};

/// A cluster: the first process starts the workers that serve.
fn node(place: &Place) -> Laid {
    let address = free_address();
    place.write(
        "shop/server.js",
        format!(
            "const cluster = require('cluster'), http = require('http');
if (cluster.isPrimary) {{
    for (let n = 0; n < 2; n += 1) cluster.fork();
    cluster.on('exit', () => cluster.fork());
    process.on('SIGTERM', () => {{ cluster.removeAllListeners('exit'); cluster.disconnect(() => process.exit(0)); }});
}} else {{
    process.on('SIGTERM', () => {{}});
    http.createServer((request, response) => response.end('{SERVES}\\n')).listen({}, '{}');
}}\n",
            address.port(),
            address.ip()
        ),
    );
    Laid::new(Question::page(address, "/", SERVES))
        // Not Debian's on every system.
        .change("/usr/bin/node", run(&["/bin/sh", "-c", "command -v node"]).trim())
        .change("/srv/shop", place.at("shop"))
        .change("127.0.0.1:3000", address.to_string())
}

/// `/work` reports that it has begun, and takes a minute.
fn wsgi(place: &Place) -> String {
    let working = place.working().display().to_string();
    place.folder_of("www-data", "work");
    place.write(
        "shop/shop.py",
        format!(
            "import time
def app(environ, start_response):
    if environ['PATH_INFO'] == '/work':
        open('{working}', 'w').close()
        time.sleep(60)
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'{SERVES}\\n']
application = app\n"
        ),
    );
    place.at("shop")
}

pub(crate) const GUNICORN: Application = Application {
    name: "gunicorn",
    packages: "gunicorn",
    program: "/usr/bin/gunicorn",
    child: Child::IsReplaced("gunicorn"),
    lay_out: gunicorn,
};

fn gunicorn(place: &Place) -> Laid {
    let address = free_address();
    Laid::new(Question::page(address, "/", SERVES))
        .work(Ask::page(address, "/work"))
        .change("/srv/shop", wsgi(place))
        .change("127.0.0.1:8000", address.to_string())
}

pub(crate) const UWSGI: Application = Application {
    name: "uwsgi",
    packages: "uwsgi-core uwsgi-plugin-python3",
    program: "/usr/bin/uwsgi-core",
    child: Child::IsReplaced("uwsgi"),
    lay_out: uwsgi,
};

fn uwsgi(place: &Place) -> Laid {
    let address = free_address();
    let folder = wsgi(place);
    let ini = place.write(
        "shop.ini",
        format!(
            "[uwsgi]\nplugin = python3\nhttp-socket = {address}\nmaster = true\nprocesses = 2\n\
             chdir = {folder}\nmodule = shop\n"
        ),
    );
    Laid::new(Question::page(address, "/", SERVES))
        .work(Ask::page(address, "/work"))
        .change("/etc/uwsgi/apps-enabled/shop.ini", ini)
        .change("127.0.0.1:8000", address.to_string())
}

pub(crate) const UVICORN: Application = Application {
    name: "uvicorn",
    packages: "uvicorn",
    program: "/usr/bin/uvicorn",
    child: Child::None,
    lay_out: uvicorn,
};

fn uvicorn(place: &Place) -> Laid {
    let address = free_address();
    place.write(
        "shop/shop.py",
        format!(
            "async def app(scope, receive, send):
    if scope['type'] != 'http':
        return
    await send({{'type': 'http.response.start', 'status': 200, 'headers': []}})
    await send({{'type': 'http.response.body', 'body': b'{SERVES}\\n'}})\n"
        ),
    );
    Laid::new(Question::page(address, "/", SERVES))
        .change("\"127.0.0.1\"", format!("\"{}\"", address.ip()))
        .change("\"8000\"", format!("\"{}\"", address.port()))
        .change("/srv/shop", place.at("shop"))
        .change("127.0.0.1:8000", address.to_string())
}

pub(crate) const PHP_FPM: Application = Application {
    name: "php-fpm",
    packages: "php8.2-fpm",
    program: "/usr/sbin/php-fpm8.2",
    child: Child::IsReplaced("pool www"),
    lay_out: php_fpm,
};

/// One record of `FastCGI`.
fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("it is short").to_be_bytes();
    [&[1, kind, 0, 1], length.as_slice(), &[0, 0], content].concat()
}

/// The request of a web server for a script.
fn fastcgi(script: &str) -> Vec<u8> {
    let pairs = [("REQUEST_METHOD", "GET"), ("SCRIPT_FILENAME", script), ("SCRIPT_NAME", script)];
    let mut parameters = Vec::new();
    for (name, value) in pairs {
        for length in [name.len(), value.len()] {
            parameters.push(u8::try_from(length).ok().filter(|length| *length < 128).expect("it is short"));
        }
        parameters.extend_from_slice(name.as_bytes());
        parameters.extend_from_slice(value.as_bytes());
    }
    let begin = record(1, &[0, 1, 0, 0, 0, 0, 0, 0]);
    [begin, record(4, &parameters), record(4, &[]), record(5, &[])].concat()
}

fn php_fpm(place: &Place) -> Laid {
    let address: SocketAddr = free_address();
    let working = place.working().display().to_string();
    place.folder_of("www-data", "work");
    let page = place.write("shop/page.php", format!("<?php echo '{SERVES}';\n"));
    let work = place.write("shop/work.php", format!("<?php touch('{working}'); sleep(60);\n"));
    let conf = place.write(
        "php-fpm.conf",
        format!(
            "[global]\nerror_log = {}\n[www]\nuser = www-data\ngroup = www-data\nlisten = {address}\n\
             pm = static\npm.max_children = 2\nping.path = /ping\n",
            place.at("php-fpm.log")
        ),
    );
    Laid::new(Question::tcp(address, fastcgi(&page), SERVES))
        .work(Ask::Tcp(address, fastcgi(&work)))
        .change(
            "\"/usr/sbin/php-fpm8.2\", ",
            format!("\"/usr/sbin/php-fpm8.2\", \"--fpm-config\", \"{conf}\", "),
        )
        .change("127.0.0.1:9000", address.to_string())
}

pub(crate) const TOMCAT: Application = Application {
    name: "tomcat",
    packages: "tomcat10",
    program: "/usr/share/tomcat10/bin/catalina.sh",
    child: Child::None,
    lay_out: tomcat,
};

fn tomcat(place: &Place) -> Laid {
    let address = free_address();
    place.write("base/webapps/ROOT/index.jsp", format!("<% out.print(\"{SERVES}\"); %>\n"));
    place.write(
        "base/conf/server.xml",
        format!(
            "<Server port=\"-1\"><Service name=\"Catalina\">
<Connector address=\"{}\" port=\"{}\" protocol=\"HTTP/1.1\"/>
<Engine name=\"Catalina\" defaultHost=\"localhost\"><Host name=\"localhost\" appBase=\"webapps\"/></Engine>
</Service></Server>\n",
            address.ip(),
            address.port()
        ),
    );
    for folder in ["logs", "work", "temp"] {
        place.folder_of("tomcat", &format!("base/{folder}"));
    }
    std::fs::copy("/etc/tomcat10/web.xml", place.path().join("base/conf/web.xml"))
        .expect("tomcat is installed");
    give("tomcat", &place.path().join("base"));
    Laid::new(Question::page(address, "/", SERVES))
        .change("/var/lib/tomcat10", place.at("base"))
        .change("\"/tmp\"", format!("\"{}\"", place.at("base/temp")))
        .change("127.0.0.1:8080", address.to_string())
}
