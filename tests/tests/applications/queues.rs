//! Servers of queues and brokers.

use bellwether_tests::root::free_address;

use super::application::{Application, Child, Laid, Question};
use super::place::Place;

pub(crate) const BEANSTALKD: Application = Application {
    name: "beanstalkd",
    packages: "beanstalkd",
    program: "/usr/bin/beanstalkd",
    child: Child::None,
    lay_out: beanstalkd,
};

fn beanstalkd(place: &Place) -> Laid {
    let (address, jobs) = (free_address(), place.folder_of("beanstalkd", "jobs"));
    Laid::new(Question::tcp(address, "stats\r\n", "OK "))
        .data(
            Question::tcp(address, "put 0 0 60 9\r\nconfirmed\r\n", "INSERTED"),
            Question::tcp(address, "peek-ready\r\n", "confirmed"),
        )
        .change("\"127.0.0.1\"", format!("\"{}\"", address.ip()))
        .change("\"11300\"", format!("\"{}\"", address.port()))
        .change("/var/lib/beanstalkd", jobs)
        .change("127.0.0.1:11300", address.to_string())
}

pub(crate) const MOSQUITTO: Application = Application {
    name: "mosquitto",
    packages: "mosquitto mosquitto-clients",
    program: "/usr/sbin/mosquitto",
    child: Child::None,
    lay_out: mosquitto,
};

fn mosquitto(place: &Place) -> Laid {
    let (address, data) = (free_address(), place.folder_of("mosquitto", "data"));
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let conf = place.write(
        "mosquitto.conf",
        format!(
            "listener {port} {host}\nallow_anonymous true\npersistence true\npersistence_location {data}/\n"
        ),
    );
    let to = ["-h", &host, "-p", &port, "-t", "word"];
    let question = [&["mosquitto_pub", "-d", "-q", "1", "-m", "x"], to.as_slice()].concat();
    // Retained messages are written at a stop, or every half an hour: a kill may lose them.
    Laid::new(Question::run(&question, "PUBACK"))
        .change("/etc/mosquitto/mosquitto.conf", conf)
        .change("\"/run/mosquitto\", \"/var/log/mosquitto\"", format!("\"{}\"", place.at("run")))
        .change("127.0.0.1:1883", address.to_string())
}

pub(crate) const NATS: Application = Application {
    name: "nats",
    packages: "nats-server",
    program: "/usr/sbin/nats-server",
    child: Child::None,
    lay_out: nats,
};

fn nats(place: &Place) -> Laid {
    let address = free_address();
    let conf = place.write(
        "nats.conf",
        format!("host: {}\nport: {}\nlame_duck_duration: \"30s\"\n", address.ip(), address.port()),
    );
    Laid::new(Question::tcp(address, "CONNECT {}\r\nSUB word 1\r\nPUB word 2\r\nok\r\n", "MSG word 1 2"))
        .change("/etc/nats-server.conf", conf)
        .change("127.0.0.1:4222", address.to_string())
}

pub(crate) const RABBITMQ: Application = Application {
    name: "rabbitmq",
    packages: "rabbitmq-server",
    program: "/usr/lib/rabbitmq/bin/rabbitmq-server",
    child: Child::IsReplaced("inet_gethost"),
    lay_out: rabbitmq,
};

fn rabbitmq(place: &Place) -> Laid {
    let (address, dist, epmd) = (free_address(), free_address(), free_address());
    let (data, logs) = (place.folder_of("rabbitmq", "data"), place.folder_of("rabbitmq", "logs"));
    let conf = place.write("rabbitmq.conf", format!("listeners.tcp.1 = {address}\nloopback_users = none\n"));
    let variables = format!(
        "RABBITMQ_NODENAME=test@localhost\nRABBITMQ_CONFIG_FILE={conf}\nRABBITMQ_MNESIA_BASE={data}\n\
         RABBITMQ_LOG_BASE={logs}\nRABBITMQ_DIST_PORT={}\nERL_EPMD_PORT={}\nERL_EPMD_ADDRESS={}\n\
         RABBITMQ_ENABLED_PLUGINS_FILE={}\nHOME={data}\nRABBITMQ_CONF_ENV_FILE=/dev/null\n",
        dist.port(),
        epmd.port(),
        epmd.ip(),
        place.write("enabled_plugins", "[].\n")
    );
    let env = place.write("rabbitmq.env", variables);
    let ctl = |words: &str| {
        let script = format!(
            "set -a; . {env}; set +a; exec setpriv --reuid rabbitmq --regid rabbitmq --init-groups /usr/lib/rabbitmq/bin/rabbitmqctl {words}"
        );
        Question::run(&["/bin/sh", "-c", &script], "confirmed")
    };
    Laid::new(Question::tcp(address, b"AMQP\x00\x00\x09\x01", "RabbitMQ"))
        // It serves all Erlang nodes of a host.
        .outlives("epmd -daemon")
        .data(ctl("add_user confirmed secret"), ctl("list_users"))
        .change("\"/var/log/rabbitmq\", \"/var/lib/rabbitmq\"", format!("\"{logs}\", \"{data}\""))
        .change("/var/lib/rabbitmq", data)
        .change("/etc/default/rabbitmq-server", env)
        .change("127.0.0.1:5672", address.to_string())
}
