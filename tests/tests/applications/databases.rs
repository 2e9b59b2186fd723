//! Applications that store data.

use std::net::SocketAddr;

use bellwether_tests::root::free_address;

use super::application::{Application, Ask, Child, Laid, Question};
use super::place::{Place, run_as};

pub(crate) const POSTGRESQL: Application = Application {
    name: "postgresql",
    packages: "postgresql-15",
    program: "/usr/lib/postgresql/15/bin/postgres",
    child: Child::IsReplaced("checkpointer"),
    lay_out: postgresql,
};

/// `psql` with one command, for an instance whose password is in the URL.
fn psql(address: SocketAddr, command: &str) -> Vec<String> {
    let url = format!("postgresql://postgres:secret@{address}/postgres");
    ["/usr/lib/postgresql/15/bin/psql", "-X", "-A", "-t", "-c", command, &url].map(str::to_owned).to_vec()
}

fn sql(address: SocketAddr, command: &str, expect: &str) -> Question {
    Question { ask: Ask::Run(psql(address, command)), expect: expect.into() }
}

fn postgresql(place: &Place) -> Laid {
    let (address, data) = (free_address(), place.folder_of("postgres", "data"));
    let password = place.write("password", "secret\n");
    let initdb = "/usr/lib/postgresql/15/bin/initdb";
    let password = format!("--pwfile={password}");
    // Its files need not outlive this host.
    run_as(
        "postgres",
        &[initdb, "-D", &data, "-A", "scram-sha-256", "--no-sync", "-U", "postgres", &password],
    );
    let sockets = place.folder_of("postgres", "sockets");
    let conf = place.write(
        "postgresql.conf",
        format!(
            "listen_addresses = '{}'\nport = {}\nunix_socket_directories = '{sockets}'\nhba_file = '{}'\n\
             ident_file = '{data}/pg_ident.conf'\n",
            address.ip(),
            address.port(),
            place.write("pg_hba.conf", "host all all 127.0.0.0/8 scram-sha-256\n")
        ),
    );
    let write = "create table kept (word text); insert into kept values ('confirmed')";
    Laid::new(sql(address, "select 'it serves'", "it serves"))
        .data(sql(address, write, "INSERT 0 1"), sql(address, "select word from kept", "confirmed"))
        // One backend that computes without interruption.
        .work(Ask::Run(psql(address, "select count(*) from generate_series(1, 200000000)")))
        .change("/run/postgresql", sockets)
        .change("/var/lib/postgresql/15/main", data)
        .change("/etc/postgresql/15/main/postgresql.conf", conf)
        .change("127.0.0.1:5432", address.to_string())
}

pub(crate) const PGBOUNCER: Application = Application {
    name: "pgbouncer",
    packages: "pgbouncer postgresql-client-15",
    program: "/usr/sbin/pgbouncer",
    child: Child::None,
    lay_out: pgbouncer,
};

fn pgbouncer(place: &Place) -> Laid {
    let address = free_address();
    let sockets = place.folder_of("postgres", "sockets");
    let users = place.write("users", "\"postgres\" \"secret\"\n");
    let conf = place.write(
        "pgbouncer.ini",
        format!(
            "[databases]\n[pgbouncer]\nlisten_addr = {}\nlisten_port = {}\nunix_socket_dir = {sockets}\n\
             auth_type = scram-sha-256\nauth_file = {users}\nadmin_users = postgres\n",
            address.ip(),
            address.port()
        ),
    );
    let url = format!("postgresql://postgres:secret@{address}/pgbouncer");
    Laid::new(Question::run(
        &["/usr/lib/postgresql/15/bin/psql", "-X", "-c", "show version", &url],
        "PgBouncer",
    ))
    .change("/run/postgresql", sockets)
    .change("/etc/pgbouncer/pgbouncer.ini", conf)
    .change("127.0.0.1:6432", address.to_string())
}

pub(crate) const MARIADB: Application = Application {
    name: "mariadb",
    packages: "mariadb-server",
    program: "/usr/sbin/mariadbd",
    child: Child::None,
    lay_out: mariadb,
};

fn mariadb(place: &Place) -> Laid {
    let (address, data, run) =
        (free_address(), place.folder_of("mysql", "data"), place.folder_of("mysql", "run"));
    let conf = place.write(
        "my.cnf",
        format!(
            "[mariadbd]\ndatadir={data}\nbind-address={}\nport={}\nsocket={run}/s\npid-file={run}/pid\n\
             innodb_buffer_pool_size=16M\ninnodb_log_file_size=8M\nuser=mysql\n",
            address.ip(),
            address.port()
        ),
    );
    let defaults = format!("--defaults-file={conf}");
    run_as(
        "mysql",
        &["mariadb-install-db", &defaults, "--auth-root-authentication-method=normal", "--skip-test-db"],
    );
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let sql = |command: &str, expect: &str| {
        let client =
            ["mariadb", "--no-defaults", "-h", &host, "-P", &port, "-u", "root", "-N", "-e", command];
        Question::run(&client, expect)
    };
    let write = "create database if not exists k; create or replace table k.k (word text) engine=innodb; \
                 insert into k.k values ('x'); select 'done'";
    Laid::new(sql("select 'it serves'", "it serves"))
        .data(sql(write, "done"), sql("select concat('word ', word) from k.k", "word x"))
        .change("\"/usr/sbin/mariadbd\"", format!("\"/usr/sbin/mariadbd\", \"{defaults}\""))
        .change("/run/mysqld", run)
        .change("127.0.0.1:3306", address.to_string())
}

pub(crate) const REDIS: Application = Application {
    name: "redis",
    packages: "redis-server",
    program: "/usr/bin/redis-server",
    child: Child::None,
    lay_out: redis,
};

fn redis(place: &Place) -> Laid {
    let (address, data) = (free_address(), place.folder_of("redis", "data"));
    let conf = place.write(
        "redis.conf",
        format!(
            "bind {}\nport {}\ndir {data}\ndaemonize yes\nappendonly yes\nappendfsync always\nenable-debug-command yes\n",
            address.ip(),
            address.port()
        ),
    );
    Laid::new(Question::tcp(address, "PING\r\n", "+PONG"))
        .data(
            Question::tcp(address, "SET word confirmed\r\n", "+OK"),
            Question::tcp(address, "GET word\r\n", "confirmed"),
        )
        .change("/etc/redis/redis.conf", conf)
        .change("/run/redis", place.at("run"))
        .change("127.0.0.1:6379", address.to_string())
}

pub(crate) const MEMCACHED: Application = Application {
    name: "memcached",
    packages: "memcached",
    program: "/usr/bin/memcached",
    child: Child::None,
    lay_out: memcached,
};

fn memcached(_: &Place) -> Laid {
    let address = free_address();
    Laid::new(Question::tcp(address, "set word 0 0 2\r\nok\r\nget word\r\n", "VALUE word"))
        .change("\"127.0.0.1\"", format!("\"{}\"", address.ip()))
        .change("\"11211\"", format!("\"{}\"", address.port()))
        .change("127.0.0.1:11211", address.to_string())
}

pub(crate) const ETCD: Application = Application {
    name: "etcd",
    packages: "etcd-server",
    program: "/usr/bin/etcd",
    child: Child::None,
    lay_out: etcd,
};

fn post(address: SocketAddr, path: &str, body: &str, expect: &str) -> Question {
    let length = body.len();
    Question::tcp(
        address,
        format!("POST {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n{body}"),
        expect,
    )
}

fn etcd(place: &Place) -> Laid {
    let (address, peers) = (free_address(), free_address());
    let data = place.folder_of("etcd", "data");
    let more = format!(
        "ETCD_LISTEN_CLIENT_URLS=http://{address}\nETCD_ADVERTISE_CLIENT_URLS=http://{address}\n\
         ETCD_LISTEN_PEER_URLS=http://{peers}\nETCD_INITIAL_ADVERTISE_PEER_URLS=http://{peers}\n\
         ETCD_INITIAL_CLUSTER=node-1=http://{peers}\n"
    );
    // base64 of "word" and "confirmed".
    let (word, confirmed) = ("d29yZA==", "Y29uZmlybWVk");
    let (key, pair) =
        (format!("{{\"key\":\"{word}\"}}"), format!("{{\"key\":\"{word}\",\"value\":\"{confirmed}\"}}"));
    Laid::new(Question::page(address, "/health", "\"true\""))
        .data(
            post(address, "/v3/kv/put", &pair, "\"revision\""),
            post(address, "/v3/kv/range", &key, confirmed),
        )
        .change("/var/lib/etcd/default", data)
        .change("/etc/default/etcd", place.write("etcd.env", more))
        .change("127.0.0.1:2379", address.to_string())
}

pub(crate) const PROMETHEUS: Application = Application {
    name: "prometheus",
    packages: "prometheus",
    program: "/usr/bin/prometheus",
    child: Child::None,
    lay_out: prometheus,
};

fn prometheus(place: &Place) -> Laid {
    let (address, data) = (free_address(), place.folder_of("prometheus", "data"));
    let conf = place.write("prometheus.yml", "global:\n  scrape_interval: 1m\n");
    Laid::new(Question::page(address, "/api/v1/query?query=vector(42)", "\"42\""))
        .change("/etc/prometheus/prometheus.yml", conf)
        .change("/var/lib/prometheus/metrics2", data)
        .change("127.0.0.1:9090", address.to_string())
}
