//! The one table of routes. A row says method, path, who may ask, which lane,
//! which parameters and bodies; the router, the security of the OpenAPI
//! document and the authorisation test are made from it, so that a route
//! without a row does not exist.

use crate::app::App;
use crate::guard;
use crate::lanes::Lane;
use axum::Router;
use axum::handler::Handler;
use axum::routing::{self, MethodRouter};
use gate::access::Permission;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, schema::Schema};

kernel::names! {
    /// The methods that routes have.
    pub enum Verb {
        /// Reads.
        Get = "GET",
        /// Changes state.
        Post = "POST",
    }
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Everybody.
    Open,
    /// Who proves to be the source, which the handler checks before it reads
    /// the body.
    Source,
    /// Who is signed in, whatever their roles.
    SignedIn,
    /// Who has this permission in their own tenant.
    Own(Permission),
    /// Who has this permission on the installation.
    Installation(Permission),
}

/// Where the token against forged posts stands when a session posts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posting {
    /// In the header `X-CSRF-Token`: the API.
    Header,
    /// In the form: pages; [`crate::auth::SafeForm`] checks it.
    Form,
}

/// What the header `Idempotency-Key` does to a posted command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeating {
    /// A repeated request gets the first answer.
    Once,
    /// The header is refused: the command is for being done each time, and its
    /// answer for being kept nowhere.
    EachTime,
}

/// What the header `If-Match` does to a posted command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matching {
    /// The resource must have the version that it names.
    Version,
    /// The header is refused: there is no resource that it could speak of.
    Nothing,
}

/// What a route's answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// A page of a listing.
    Page,
    /// One resource with its `ETag`.
    Resource,
    /// An object that the operation describes.
    Object,
    /// Server-sent events.
    Events,
    /// Text.
    Text,
    /// JSON objects, one a line.
    Lines,
    /// A body as it was taken in, of its own type.
    AsTaken,
    /// A raw body.
    Raw,
    /// A page for a browser, or a redirect to one.
    Html,
}

/// A parameter of the query.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
}

/// A schema with its name and the schemas that it refers to.
#[derive(Clone, Copy)]
pub struct Shape {
    /// The name.
    pub name: fn() -> std::borrow::Cow<'static, str>,
    /// The schema.
    pub schema: fn() -> RefOr<Schema>,
    /// The schemas that it refers to.
    pub parts: fn(&mut Vec<(String, RefOr<Schema>)>),
}

/// Everything about a route but its handler.
#[derive(Clone)]
pub struct Facts {
    /// The method.
    pub verb: Verb,
    /// The path, with `{name}` for what varies.
    pub path: &'static str,
    /// Who may ask.
    pub guard: Guard,
    /// Which places it uses.
    pub lane: Lane,
    /// Where a session's token stands.
    pub posting: Posting,
    /// What an idempotency key does to it.
    pub repeating: Repeating,
    /// What a version to match does to it.
    pub matching: Matching,
    /// What it is for, in a few words.
    pub summary: &'static str,
    /// The parameters of its query; others are refused.
    pub parameters: Vec<Parameter>,
    /// Its body; `None` means that no body is read.
    pub body: Option<Shape>,
    /// Whether it names, beside its path, what may not be there.
    pub seeks: bool,
    /// What it answers.
    pub gives: Gives,
    /// The status when it works.
    pub status: u16,
}

/// A row of the table.
pub struct Route {
    /// What the row says.
    pub facts: Facts,
    handler: MethodRouter<App>,
}

impl Route {
    fn new(
        (verb, path): (Verb, &'static str),
        guard: Guard,
        summary: &'static str,
        handler: MethodRouter<App>,
    ) -> Self {
        Self {
            facts: Facts {
                verb,
                path,
                guard,
                lane: Lane::Ordinary,
                posting: Posting::Header,
                repeating: Repeating::Once,
                matching: Matching::Version,
                summary,
                parameters: Vec::new(),
                body: None,
                seeks: false,
                gives: Gives::Object,
                status: 200,
            },
            handler,
        }
    }

    /// A route that reads.
    pub fn get<H, T>(path: &'static str, guard: Guard, summary: &'static str, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        Self::new((Verb::Get, path), guard, summary, routing::get(handler))
    }

    /// A route that changes state.
    pub fn post<H, T>(path: &'static str, guard: Guard, summary: &'static str, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        Self::new((Verb::Post, path), guard, summary, routing::post(handler))
    }

    /// The same in this lane.
    #[must_use]
    pub fn lane(mut self, lane: Lane) -> Self {
        self.facts.lane = lane;
        self
    }
    /// The same, posted by a form of a page.
    #[must_use]
    pub fn form(mut self) -> Self {
        self.facts.posting = Posting::Form;
        self
    }
    /// The same, refusing an idempotency key.
    #[must_use]
    pub fn each_time(mut self) -> Self {
        self.facts.repeating = Repeating::EachTime;
        self
    }
    /// The same, refusing a version to match.
    #[must_use]
    pub fn unversioned(mut self) -> Self {
        self.facts.matching = Matching::Nothing;
        self
    }
    /// The same with these parameters.
    #[must_use]
    pub fn parameters(mut self, parameters: &[Parameter]) -> Self {
        self.facts.parameters.extend_from_slice(parameters);
        self
    }
    /// The same with this body.
    #[must_use]
    pub fn body<T: ToSchema>(mut self) -> Self {
        self.facts.body = Some(Shape {
            name: T::name,
            schema: T::schema,
            parts: T::schemas,
        });
        self
    }
    /// The same; it answers `404 Not Found` when what its query or body names
    /// is not there.
    #[must_use]
    pub fn seeks(mut self) -> Self {
        self.facts.seeks = true;
        self
    }
    /// The same with this answer.
    #[must_use]
    pub fn gives(mut self, gives: Gives) -> Self {
        self.facts.gives = gives;
        self
    }
    /// The same, answering `201 Created`.
    #[must_use]
    pub fn creates(mut self) -> Self {
        self.facts.status = 201;
        self
    }
    /// The same, answering `202 Accepted`.
    #[must_use]
    pub fn accepts(mut self) -> Self {
        self.facts.status = 202;
        self
    }
}

/// The router of these rows, each behind its guard.
pub fn mount(app: &App, rows: Vec<Route>) -> Router<App> {
    rows.into_iter().fold(Router::new(), |router, row| {
        let path = row.facts.path;
        let state = guard::Watch::new(app.clone(), row.facts);
        let layer = axum::middleware::from_fn_with_state(state, guard::layer);
        router.route(path, row.handler.route_layer(layer))
    })
}
