//! Applications of directory services.

use bellwether_tests::root::free_address;

use super::application::{Application, Child, Laid, Question};
use super::place::{Place, give, run};

pub(crate) const SLAPD: Application = Application {
    name: "slapd",
    packages: "slapd ldap-utils",
    program: "/usr/sbin/slapd",
    child: Child::None,
    lay_out: slapd,
};

fn slapd(place: &Place) -> Laid {
    let address = free_address();
    let (config, data) = (place.folder_of("root", "slapd.d"), place.folder_of("openldap", "data"));
    let ldif = place.write(
        "config.ldif",
        format!(
            "dn: cn=config
objectClass: olcGlobal
cn: config

dn: cn=module{{0}},cn=config
objectClass: olcModuleList
cn: module{{0}}
olcModulePath: /usr/lib/ldap
olcModuleLoad: back_mdb

dn: cn=schema,cn=config
objectClass: olcSchemaConfig
cn: schema

include: file:///etc/ldap/schema/core.ldif

dn: olcDatabase={{1}}mdb,cn=config
objectClass: olcDatabaseConfig
objectClass: olcMdbConfig
olcDatabase: {{1}}mdb
olcDbDirectory: {data}
olcSuffix: dc=test
olcRootDN: cn=admin,dc=test
olcRootPW: secret
olcDbMaxSize: 10485760\n"
        ),
    );
    run(&["slapadd", "-n", "0", "-F", &config, "-l", &ldif]);
    give("openldap", place.path());
    let entry = place.write(
        "entry.ldif",
        "dn: dc=test\nobjectClass: dcObject\nobjectClass: organization\ndc: test\no: confirmed\n",
    );
    let url = format!("ldap://{address}");
    let add = ["ldapadd", "-c", "-x", "-H", &url, "-D", "cn=admin,dc=test", "-w", "secret", "-f", &entry];
    let search = ["ldapsearch", "-x", "-H", &url, "-b", "dc=test", "-s", "base", "o"];
    Laid::new(Question::tcp(
        address,
        b"0\x1b\x02\x01\x01n\x16\x04\x000\x12\x04\x0bobjectClass\x04\x03top",
        "o\x07\n\x01\x06",
    ))
    .data(Question::run(&add, "adding new entry"), Question::run(&search, "o: confirmed"))
    .change("ldap://127.0.0.1:389/ ldapi:///", format!("{url}/"))
    .change("/run/slapd", place.at("run"))
    .change("/etc/ldap/slapd.d", config)
    .change("127.0.0.1:389", address.to_string())
}
