//! TLS, SASL, delegation tokens, access control. Nothing of it is served yet.
use super::reasons::{ACCESS_NOTE, ACCESS_REFUSED, JVM, JVM_CLASS_REFUSED, SASL, TLS, TLS_BETWEEN_REFUSED, TOKENS};
use crate::config::key::Importance::{High, Low, Medium};
use crate::config::key::Rule::{AtLeast, Between, OneOf, OneOfInAnyCase};
use crate::config::key::{Key, boolean, class, double, int, list, long, optional_int, password, short, string};

pub(super) const KEYS: &[Key] = &[
    string("authorizer.class.name", Some(""), Low, ACCESS_REFUSED, "The Java class that decides who may do what."),
    int(
        "connection.failed.authentication.delay.ms",
        "100",
        Low,
        SASL,
        "How long a failed authentication waits for its answer.",
    )
    .rule(AtLeast(0)),
    long(
        "connections.max.reauth.ms",
        "0",
        Medium,
        SASL,
        "A SASL session ends after this time unless it authenticates again; 0 is never.",
    ),
    long(
        "delegation.token.expiry.check.interval.ms",
        "3600000",
        Low,
        TOKENS,
        "How often expired delegation tokens are removed.",
    )
    .rule(AtLeast(1)),
    long(
        "delegation.token.expiry.time.ms",
        "86400000",
        Medium,
        TOKENS,
        "A delegation token must be renewed within this time.",
    )
    .rule(AtLeast(1)),
    long(
        "delegation.token.max.lifetime.ms",
        "604800000",
        Medium,
        TOKENS,
        "A delegation token cannot be renewed beyond this age.",
    )
    .rule(AtLeast(1)),
    password("delegation.token.secret.key", Medium, TOKENS, "The secret that delegation tokens are made with."),
    list("early.start.listeners", None, High, ACCESS_NOTE, "Listeners that open before the authorizer is ready."),
    class(
        "principal.builder.class",
        Some("org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder"),
        Medium,
        JVM_CLASS_REFUSED,
        "A Java class that names who is connected.",
    )
    .per_broker(),
    class(
        "sasl.client.callback.handler.class",
        None,
        Medium,
        SASL,
        "A Java class that answers for the client side of SASL.",
    ),
    list("sasl.enabled.mechanisms", Some("GSSAPI"), Medium, SASL, "The SASL mechanisms of the server.").per_broker(),
    password("sasl.jaas.config", Medium, SASL, "Login of the SASL server in the form of JAAS.").per_broker(),
    string("sasl.kerberos.kinit.cmd", Some("/usr/bin/kinit"), Medium, SASL, "The path of kinit.").per_broker(),
    long("sasl.kerberos.min.time.before.relogin", "60000", Medium, SASL, "Shortest time between two Kerberos logins.")
        .per_broker(),
    list(
        "sasl.kerberos.principal.to.local.rules",
        Some("DEFAULT"),
        Medium,
        SASL,
        "Rules that turn Kerberos principals into short names.",
    )
    .per_broker(),
    string("sasl.kerberos.service.name", None, Medium, SASL, "The name of the Kerberos service.").per_broker(),
    double(
        "sasl.kerberos.ticket.renew.jitter",
        "0.05",
        Medium,
        SASL,
        "By which part the time of a ticket's renewal varies.",
    )
    .per_broker(),
    double(
        "sasl.kerberos.ticket.renew.window.factor",
        "0.8",
        Medium,
        SASL,
        "After which part of its life a ticket is renewed.",
    )
    .per_broker(),
    class("sasl.login.callback.handler.class", None, Medium, SASL, "A Java class that answers during login."),
    class("sasl.login.class", None, Medium, SASL, "A Java class that logs in."),
    optional_int("sasl.login.connect.timeout.ms", Low, SASL, "How long connecting to a login service may take."),
    optional_int("sasl.login.read.timeout.ms", Low, SASL, "How long reading from a login service may take."),
    short(
        "sasl.login.refresh.buffer.seconds",
        "300",
        Medium,
        SASL,
        "How long before it expires a credential is refreshed at the latest.",
    )
    .per_broker(),
    short(
        "sasl.login.refresh.min.period.seconds",
        "60",
        Medium,
        SASL,
        "How long after it was got a credential is refreshed at the earliest.",
    )
    .per_broker(),
    double(
        "sasl.login.refresh.window.factor",
        "0.8",
        Medium,
        SASL,
        "After which part of its life a credential is refreshed.",
    )
    .per_broker(),
    double("sasl.login.refresh.window.jitter", "0.05", Medium, SASL, "By which part that time varies.").per_broker(),
    long("sasl.login.retry.backoff.max.ms", "10000", Low, SASL, "Longest pause between attempts to log in."),
    long("sasl.login.retry.backoff.ms", "100", Low, SASL, "First pause between attempts to log in."),
    string(
        "sasl.mechanism.controller.protocol",
        Some("GSSAPI"),
        High,
        SASL,
        "The SASL mechanism between brokers and controllers.",
    ),
    string("sasl.mechanism.inter.broker.protocol", Some("GSSAPI"), Medium, SASL, "The SASL mechanism between brokers.")
        .per_broker(),
    boolean(
        "sasl.oauthbearer.allow.unverified.audience",
        "false",
        Medium,
        SASL,
        "Accept tokens whose audience is not checked.",
    ),
    boolean(
        "sasl.oauthbearer.allow.unverified.issuer",
        "false",
        Medium,
        SASL,
        "Accept tokens whose issuer is not checked.",
    ),
    string("sasl.oauthbearer.assertion.algorithm", Some("RS256"), Medium, SASL, "The algorithm that signs assertions.")
        .rule(OneOfInAnyCase(&["ES256", "RS256"])),
    string("sasl.oauthbearer.assertion.claim.aud", None, Medium, SASL, "The audience in assertions."),
    int("sasl.oauthbearer.assertion.claim.exp.seconds", "300", Low, SASL, "How long assertions are valid.")
        .rule(Between(0, 86400)),
    string("sasl.oauthbearer.assertion.claim.iss", None, Medium, SASL, "The issuer in assertions."),
    boolean("sasl.oauthbearer.assertion.claim.jti.include", "false", Medium, SASL, "Give assertions a unique id."),
    int("sasl.oauthbearer.assertion.claim.nbf.seconds", "60", Low, SASL, "From how long ago on assertions are valid.")
        .rule(Between(0, 3600)),
    string("sasl.oauthbearer.assertion.claim.sub", None, Medium, SASL, "The subject in assertions."),
    string("sasl.oauthbearer.assertion.file", None, Medium, SASL, "A file that holds a finished assertion."),
    string(
        "sasl.oauthbearer.assertion.private.key.file",
        None,
        Medium,
        SASL,
        "The file of the key that signs assertions.",
    ),
    password("sasl.oauthbearer.assertion.private.key.passphrase", Medium, SASL, "The passphrase of that key."),
    string("sasl.oauthbearer.assertion.template.file", None, Medium, SASL, "A file with more claims for assertions."),
    string(
        "sasl.oauthbearer.client.credentials.client.id",
        None,
        Medium,
        SASL,
        "The id with which tokens are asked for.",
    ),
    password("sasl.oauthbearer.client.credentials.client.secret", Medium, SASL, "The secret that belongs to that id."),
    int("sasl.oauthbearer.clock.skew.seconds", "30", Low, SASL, "How far clocks may differ."),
    list("sasl.oauthbearer.expected.audience", Some(""), High, SASL, "The audiences that tokens may have."),
    string("sasl.oauthbearer.expected.issuer", None, High, SASL, "The issuer that tokens must have."),
    long("sasl.oauthbearer.jwks.endpoint.refresh.ms", "3600000", Low, SASL, "How often the key set is read again."),
    long(
        "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms",
        "10000",
        Low,
        SASL,
        "Longest pause between attempts to read the key set.",
    ),
    long(
        "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms",
        "100",
        Low,
        SASL,
        "First pause between attempts to read the key set.",
    ),
    string("sasl.oauthbearer.jwks.endpoint.url", None, Medium, SASL, "Where the key set is."),
    class(
        "sasl.oauthbearer.jwt.retriever.class",
        Some("org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever"),
        Medium,
        SASL,
        "A Java class that gets tokens.",
    ),
    class(
        "sasl.oauthbearer.jwt.validator.class",
        Some("org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator"),
        Medium,
        SASL,
        "A Java class that checks tokens.",
    ),
    string("sasl.oauthbearer.scope", None, Medium, SASL, "The scope that tokens are asked for."),
    string("sasl.oauthbearer.scope.claim.name", Some("scope"), Low, SASL, "The claim that holds the scope."),
    string("sasl.oauthbearer.sub.claim.name", Some("sub"), Low, SASL, "The claim that holds the subject."),
    string("sasl.oauthbearer.token.endpoint.url", None, Medium, SASL, "Where tokens are asked for."),
    class(
        "sasl.server.callback.handler.class",
        None,
        Medium,
        SASL,
        "A Java class that answers for the server side of SASL.",
    ),
    int("sasl.server.max.receive.size", "524288", Medium, SASL, "Longest message of a client during authentication."),
    string(
        "security.inter.broker.protocol",
        Some("PLAINTEXT"),
        Medium,
        TLS_BETWEEN_REFUSED,
        "The protocol between brokers, if inter.broker.listener.name is not set.",
    )
    .rule(OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"])),
    string("security.providers", None, Low, JVM, "Java classes that provide cryptography."),
    boolean("ssl.allow.dn.changes", "false", Low, TLS, "A new certificate may name another subject."),
    boolean("ssl.allow.san.changes", "false", Low, TLS, "A new certificate may lack alternative names of the old one."),
    list("ssl.cipher.suites", Some(""), Medium, TLS, "The cipher suites that may be used.").per_broker(),
    string("ssl.client.auth", Some("none"), Medium, TLS, "Whether clients must show a certificate.")
        .rule(OneOf(&["required", "requested", "none"]))
        .per_broker(),
    list("ssl.enabled.protocols", Some("TLSv1.2,TLSv1.3"), Medium, TLS, "The versions of TLS that may be used.")
        .per_broker(),
    string(
        "ssl.endpoint.identification.algorithm",
        Some("https"),
        Low,
        TLS,
        "How the host name in a certificate is checked.",
    )
    .per_broker(),
    class("ssl.engine.factory.class", None, Low, TLS, "A Java class that makes TLS engines.").per_broker(),
    password("ssl.key.password", Medium, TLS, "The password of the private key.").per_broker(),
    string("ssl.keymanager.algorithm", Some("SunX509"), Medium, TLS, "The algorithm of Java's key manager.")
        .per_broker(),
    password("ssl.keystore.certificate.chain", Medium, TLS, "The certificate chain as PEM text.").per_broker(),
    password("ssl.keystore.key", Medium, TLS, "The private key as PEM text.").per_broker(),
    string("ssl.keystore.location", None, Medium, TLS, "The file with key and certificates.").per_broker(),
    password("ssl.keystore.password", Medium, TLS, "The password of that file.").per_broker(),
    string("ssl.keystore.type", Some("JKS"), Medium, TLS, "The format of that file.").per_broker(),
    string(
        "ssl.principal.mapping.rules",
        Some("DEFAULT"),
        Low,
        TLS,
        "Rules that turn a certificate's subject into a name.",
    ),
    string("ssl.protocol", Some("TLSv1.3"), Medium, TLS, "The version of TLS that is tried first.").per_broker(),
    string("ssl.provider", None, Medium, TLS, "The Java provider of TLS.").per_broker(),
    string("ssl.secure.random.implementation", None, Low, TLS, "The Java source of random numbers.").per_broker(),
    string("ssl.trustmanager.algorithm", Some("PKIX"), Medium, TLS, "The algorithm of Java's trust manager.")
        .per_broker(),
    password("ssl.truststore.certificates", Medium, TLS, "Trusted certificates as PEM text.").per_broker(),
    string("ssl.truststore.location", None, Medium, TLS, "The file with trusted certificates.").per_broker(),
    password("ssl.truststore.password", Medium, TLS, "The password of that file.").per_broker(),
    string("ssl.truststore.type", Some("JKS"), Medium, TLS, "The format of that file.").per_broker(),
];
