//! Every route of the server, asked by everybody: each role of each kind of
//! principal, of the installation's first tenant and of another, by token and
//! by session, with and without the token against forged posts, and by those
//! who prove nothing or the wrong thing. What must come of it stands in `table`,
//! written by hand, and not in the code that is asked.

pub(crate) mod table;

use crate::harness::{World, request};
use axum::body::Body;
use axum::http::{Request, header};
use flow::identity::{NewPrincipal, create_principal};
use kernel::names::Name;
use kernel::{PrincipalKind, Role, Span};
use serde_json::json;
use server::routes::{Facts, Gives, Guard, Posting, Verb};
use std::collections::{BTreeMap, BTreeSet};
use table::{ROUTES, installers, may};
use tower::ServiceExt as _;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// The rows that the router is made of.
fn rows() -> Vec<Facts> {
    server::rows().into_iter().map(|row| row.facts).collect()
}

fn named(facts: &Facts) -> String {
    format!("{} {}", facts.verb, facts.path)
}

fn wanted() -> BTreeMap<&'static str, Guard> {
    ROUTES.iter().copied().collect()
}

#[test]
fn every_route_has_a_row_and_every_row_a_route() {
    let wanted = wanted();
    assert_eq!(wanted.len(), ROUTES.len(), "a row stands twice");
    let mounted: Vec<String> = rows().iter().map(named).collect();
    let once: BTreeSet<&str> = mounted.iter().map(String::as_str).collect();
    assert_eq!(once.len(), mounted.len(), "a route is mounted twice");
    let listed: BTreeSet<&str> = wanted.keys().copied().collect();
    let lacking: Vec<_> = once.difference(&listed).collect();
    let left_over: Vec<_> = listed.difference(&once).collect();
    assert!(lacking.is_empty(), "routes without a row: {lacking:?}");
    assert!(left_over.is_empty(), "rows without a route: {left_over:?}");
    for facts in rows() {
        let name = named(&facts);
        assert_eq!(facts.guard, wanted[name.as_str()], "{name}");
    }
}

/// The path with something in each place that varies.
fn filled(path: &str) -> String {
    let part = |p: &str| match p {
        "{tenant}" => "ten_00000000000070008000000000000001".to_owned(),
        "{kind}" => "invalid".to_owned(),
        p if p.starts_with('{') => "nothing".to_owned(),
        p => p.to_owned(),
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// How somebody proves who they are.
#[derive(Clone, Debug)]
enum Proof {
    Nothing,
    Header(&'static str, String),
    /// A cookie, and a token against forged posts.
    Session(String, String),
}

fn asked(facts: &Facts, path: &str, proof: &Proof) -> Request<Body> {
    let mut request = request(facts.verb.name(), path, None);
    let mut form = String::new();
    match proof {
        Proof::Nothing => {}
        Proof::Header(name, value) => request = request.header(*name, value),
        Proof::Session(cookie, csrf) => {
            request = request.header(header::COOKIE, cookie);
            if facts.posting == Posting::Header && !csrf.is_empty() {
                request = request.header("x-csrf-token", csrf);
            }
            form = format!("csrf={csrf}");
        }
    }
    if facts.verb == Verb::Get {
        return request.body(Body::empty()).unwrap();
    }
    let (kind, body) = match facts.posting {
        Posting::Header => (JSON, "{}".to_owned()),
        Posting::Form => (FORM, form),
    };
    let request = request.header(header::CONTENT_TYPE, kind);
    request.body(Body::from(body)).unwrap()
}

/// Status and content type; the body is not waited for, because a stream has
/// no end.
async fn answered(world: &World, request: Request<Body>) -> (u16, String) {
    let response = world.router.clone().oneshot(request).await.unwrap();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let kind = kind.map_or("", |v| v.to_str().unwrap()).to_owned();
    (response.status().as_u16(), kind)
}

fn bearer(token: &str) -> Proof {
    Proof::Header("authorization", format!("Bearer {token}"))
}

struct Asker {
    kind: PrincipalKind,
    role: Role,
    home: bool,
    token: String,
}

/// One of each kind with each role that it can have, in both tenants.
async fn everybody(world: &World) -> Vec<Asker> {
    let control = &world.control;
    let mut all = Vec::new();
    for (tenant, home) in [(world.home.tenant, true), (world.member.tenant, false)] {
        for kind in PrincipalKind::ALL {
            for role in Role::ALL {
                let possible = match kind {
                    PrincipalKind::Human | PrincipalKind::Service => true,
                    PrincipalKind::Agent => *role == Role::Agent,
                    PrincipalKind::System => false,
                };
                let new = NewPrincipal {
                    kind: *kind,
                    name: format!("the {role} {kind}"),
                    roles: vec![*role],
                };
                let ctx = control.system_ctx(tenant, "setup");
                let ledger = control.ledger();
                let made = ledger
                    .run(ctx, move |unit| create_principal(unit, &new))
                    .await;
                assert_eq!(made.is_ok(), possible, "{kind} as {role}");
                let Ok(made) = made else { continue };
                let ctx = control.system_ctx(tenant, "setup");
                let issued = control.issue(ctx, made.answer, "matrix".into(), None);
                let token = issued.await.unwrap().1.to_string();
                all.push(Asker {
                    kind: *kind,
                    role: *role,
                    home,
                    token,
                });
            }
        }
    }
    all
}

fn is_allowed(guard: Guard, asker: &Asker) -> bool {
    match guard {
        Guard::Open | Guard::SignedIn => true,
        Guard::Own(permission) => may(asker.kind, asker.role, permission),
        Guard::Installation(permission) => {
            asker.home
                && installers(permission).contains(&asker.role)
                && asker.kind != PrincipalKind::Agent
        }
        Guard::Source => panic!("asked by a test of its own"),
    }
}

/// The routes, each with what it must take.
fn all_rows() -> Vec<(Facts, Guard)> {
    let wanted = wanted();
    let rows = rows().into_iter().map(|facts| {
        let guard = wanted.get(named(&facts).as_str()).copied();
        let guard = guard.unwrap_or_else(|| panic!("`{}` has no row", named(&facts)));
        (facts, guard)
    });
    rows.collect()
}

/// The routes but those of sources, which take another proof.
fn guarded() -> impl Iterator<Item = (Facts, Guard)> {
    all_rows()
        .into_iter()
        .filter(|(_, guard)| *guard != Guard::Source)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_by_everyone() {
    let world = World::with_packs().await;
    let everybody = everybody(&world).await;
    let (mut faults, mut let_in, mut kept_out) = (Vec::new(), 0, 0);
    for (facts, guard) in guarded() {
        let path = filled(facts.path);
        for asker in &everybody {
            let allowed = is_allowed(guard, asker);
            let request = asked(&facts, &path, &bearer(&asker.token));
            let (status, _) = answered(&world, request).await;
            let fine = match allowed {
                // 503: nothing is signed or archived in this world.
                true => ![401, 403, 500].contains(&status),
                false => status == 403,
            };
            match allowed {
                true => let_in += 1,
                false => kept_out += 1,
            }
            if !fine {
                let Asker {
                    kind, role, home, ..
                } = asker;
                let name = named(&facts);
                faults.push(format!("{name} by {kind} {role}, home {home}: {status}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(
        let_in > 1_000 && kept_out > 1_000,
        "{let_in} and {kept_out}"
    );
    world.end().await;
}

/// Signs in, and gives the cookie and the token of its forms.
async fn session(world: &World, token: &str) -> (String, String) {
    let request = request("POST", "/login", None).header(header::CONTENT_TYPE, FORM);
    let form = Body::from(format!("token={token}"));
    let reply = world.send(request.body(form).unwrap()).await.is(303);
    let cookie = reply.header("set-cookie").split(';').next().unwrap();
    let me = request_with_cookie("/v1/me", cookie);
    let me = world.send(me).await.is(200);
    let csrf = me.body["csrf"].as_str().unwrap().to_owned();
    (cookie.to_owned(), csrf)
}

fn request_with_cookie(path: &str, cookie: &str) -> Request<Body> {
    let request = request("GET", path, None).header(header::COOKIE, cookie);
    request.body(Body::empty()).unwrap()
}

/// A session opens what its person may, and posts only with its own token:
/// another site has none, and a token of another session is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_by_session_with_its_own_a_foreign_and_no_token() {
    let world = World::with_packs().await;
    let everybody = everybody(&world).await;
    let people = everybody
        .iter()
        .filter(|asker| asker.kind == PrincipalKind::Human && !asker.home);
    let (_, foreign) = session(&world, world.member.token(Role::Admin)).await;
    let mut faults = Vec::new();
    let mut forged = 0;
    for asker in people {
        let (cookie, own) = session(&world, &asker.token).await;
        for (facts, guard) in guarded() {
            let path = filled(facts.path);
            let allowed = is_allowed(guard, asker);
            let name = named(&facts);
            // Signing in and out ends the session, as tests of their own show.
            if !["POST /login", "POST /logout"].contains(&name.as_str()) {
                let proof = Proof::Session(cookie.clone(), own.clone());
                let (status, _) = answered(&world, asked(&facts, &path, &proof)).await;
                let fine = match allowed {
                    true => ![401, 403, 500].contains(&status),
                    false => status == 403,
                };
                if !fine {
                    faults.push(format!("{name} by session of {}: {status}", asker.role));
                }
            }
            if facts.verb == Verb::Get || guard == Guard::Open {
                continue;
            }
            for csrf in ["", foreign.as_str(), &own[..63]] {
                let proof = Proof::Session(cookie.clone(), csrf.to_owned());
                let (status, _) = answered(&world, asked(&facts, &path, &proof)).await;
                forged += 1;
                if status != 403 {
                    faults.push(format!(
                        "{name} by {} with the token `{csrf}`: {status}",
                        asker.role
                    ));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(forged > 1_000, "{forged}");
    world.end().await;
}

/// Tokens that were good once: of a revoked key, of a disabled principal, of a
/// key whose end has come.
async fn former_tokens(world: &World) -> [String; 3] {
    let admin = world.member.token(Role::Admin);
    let reason = json!({"reason": "lost"});
    let revoked = world.member.token(Role::Viewer).to_owned();
    let me = world.get("/v1/me", &revoked).await.is(200);
    let path = format!("/v1/keys/{}/revoke", me.body["key"].as_str().unwrap());
    world.post(&path, admin, &reason).await.is(200);
    let disabled = world.member.token(Role::Operator).to_owned();
    let path = format!(
        "/v1/principals/{}/disable",
        world.member.principals[&Role::Operator]
    );
    world.post(&path, admin, &reason).await.is(200);
    let until = world.control.now().plus(Span::from_millis(50));
    let ctx = world.control.system_ctx(world.member.tenant, "setup");
    let auditor = world.member.principals[&Role::Auditor];
    let issued = world
        .control
        .issue(ctx, auditor, "short".into(), Some(until));
    let expired = issued.await.unwrap().1.to_string();
    while world.control.now() < until {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    [revoked, disabled, expired]
}

async fn false_proofs(world: &World) -> Vec<Proof> {
    let good = world.home.token(Role::Admin).to_owned();
    let (cookie, _) = session(world, &good).await;
    let (head, _) = good.split_at(good.len() - 4);
    let of_other = world.member.token(Role::Admin);
    // The admin's key with the secret of another key.
    let (names, _) = good.rsplit_once('_').unwrap();
    let mixed = format!("{names}_{}", of_other.rsplit_once('_').unwrap().1);
    let mut proofs = vec![
        Proof::Nothing,
        bearer(&format!("{head}0000")),
        bearer(&mixed),
        bearer("writ_x"),
        bearer(&good.to_uppercase()),
        // What proves a source proves nothing else.
        bearer(crate::harness::PROBE_TOKEN),
        bearer(crate::harness::GAUGE_KEY),
        Proof::Header("authorization", "Basic".into()),
        Proof::Header("authorization", format!("Basic {good}")),
        Proof::Header("authorization", good.clone()),
        Proof::Header("x-api-key", good.clone()),
        Proof::Header("cookie", format!("writ_session={good}")),
        Proof::Header("cookie", cookie[..cookie.len() - 1].to_owned()),
        Proof::Header("cookie", cookie.replace("writ_session", "WRIT_SESSION")),
    ];
    proofs.extend(former_tokens(world).await.iter().map(|t| bearer(t)));
    proofs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_and_false_proofs_open_nothing() {
    let world = World::with_packs().await;
    let proofs = false_proofs(&world).await;
    for (facts, guard) in all_rows() {
        let name = named(&facts);
        let page = facts.gives == Gives::Html;
        let path = filled(facts.path);
        // A proof in the address is none.
        let by_query = format!("{path}?token={}", world.home.token(Role::Admin));
        let tries = proofs.iter().map(|proof| (path.as_str(), proof));
        for (path, proof) in tries.chain([(by_query.as_str(), &Proof::Nothing)]) {
            let (status, kind) = answered(&world, asked(&facts, path, proof)).await;
            let shut = match guard {
                Guard::Open => status < 500,
                // The address is read before a source is.
                Guard::Source => [400, 401].contains(&status),
                // A person without a session is sent to the login page.
                _ if page => [303, 401].contains(&status),
                _ => status == 401 && kind == "application/problem+json",
            };
            assert!(shut, "{name} with {proof:?}: {status} {kind}");
        }
    }
    world.end().await;
}

/// No other method and no other spelling of a path gets around the guard.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_methods_and_other_spellings_open_nothing() {
    let world = World::with_packs().await;
    let mut verbs: BTreeMap<&'static str, BTreeSet<&'static str>> = BTreeMap::new();
    for facts in rows() {
        verbs
            .entry(facts.path)
            .or_default()
            .insert(facts.verb.name());
    }
    for facts in rows() {
        let path = filled(facts.path);
        let known = &verbs[facts.path];
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
            if known.contains(method) {
                continue;
            }
            let admin = Some(world.home.token(Role::Admin));
            for token in [None, admin] {
                let request = request(method, &path, token).body(Body::empty());
                let (status, _) = answered(&world, request.unwrap()).await;
                assert_eq!(status, 405, "{method} {path}");
            }
        }
        if facts.guard == Guard::Open {
            continue;
        }
        let head = request("HEAD", &path, None).body(Body::empty()).unwrap();
        let (status, _) = answered(&world, head).await;
        assert!([401, 405].contains(&status), "HEAD {path}: {status}");
        for other in spellings(&path) {
            let (status, _) = answered(&world, asked(&facts, &other, &Proof::Nothing)).await;
            assert!([401, 404, 405].contains(&status), "{other}: {status}");
        }
    }
    world.end().await;
}

fn spellings(path: &str) -> Vec<String> {
    let Some(rest) = path.strip_prefix('/').filter(|rest| !rest.is_empty()) else {
        return vec!["/.".into(), "//".into(), "/%2f".into()];
    };
    let (first, after) = rest.split_at(1);
    let coded = format!("%{:02x}{after}", first.as_bytes()[0]);
    vec![
        format!("{path}/"),
        format!("/{path}"),
        format!("/./{rest}"),
        format!("/x/../{rest}"),
        format!("/x/%2e%2e/{rest}"),
        format!("/{}", rest.to_uppercase()),
        format!("/{coded}"),
        format!("{path}%00"),
        format!("{path};x=1"),
        format!("{path}%2f"),
    ]
}
