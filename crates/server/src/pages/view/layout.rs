//! The frame around every page: head, navigation, what has just happened, the
//! help overlay.

use super::{part, text};
use kernel::Timestamp;
use maud::{DOCTYPE, Markup, html};

/// Where in the navigation a page stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The first page.
    Overview,
    /// What waits for a person.
    Approvals,
    /// Incidents.
    Incidents,
    /// Candidates.
    Candidates,
    /// Signals.
    Signals,
    /// Directives.
    Directives,
    /// Runs.
    Runs,
    /// Budgets.
    Budgets,
    /// The kill switch.
    Kill,
    /// Earned autonomy.
    Autonomy,
    /// Policies.
    Policies,
    /// The ledger.
    Ledger,
    /// The pack in force.
    Packs,
    /// Principals.
    Principals,
    /// Nowhere, for example an error.
    None,
}

/// Section, address, name, and the key that goes there after `g`.
const NAVIGATION: [(Section, &str, &str, &str); 14] = [
    (Section::Overview, "/", "Overview", "o"),
    (Section::Approvals, "/approvals", "Approvals", "a"),
    (Section::Incidents, "/incidents", "Incidents", "i"),
    (Section::Directives, "/directives", "Directives", "d"),
    (Section::Runs, "/runs", "Runs", "r"),
    (Section::Kill, "/kill", "Kill switch", "k"),
    (Section::Ledger, "/ledger", "Ledger", "l"),
    (Section::Budgets, "/budgets", "Budgets", "b"),
    (Section::Autonomy, "/autonomy", "Autonomy", "y"),
    (Section::Policies, "/policies", "Policies", "e"),
    (Section::Candidates, "/candidates", "Candidates", "c"),
    (Section::Signals, "/signals", "Signals", "s"),
    (Section::Packs, "/packs", "Pack", "p"),
    (Section::Principals, "/principals", "Principals", "u"),
];

/// What a phone shows at the bottom of the screen.
const QUICK: [Section; 4] = [
    Section::Overview,
    Section::Approvals,
    Section::Incidents,
    Section::Kill,
];

kernel::names! {
    /// Dark or light.
    pub enum Theme {
        /// As the system says.
        System = "system",
        /// Dark.
        Dark = "dark",
        /// Light.
        Light = "light",
    }
}

kernel::names! {
    /// What has just been done, for the line above a page.
    pub enum Flash {
        /// A directive was approved.
        Approved = "approved",
        /// A yes was recorded; more are needed.
        Endorsed = "endorsed",
        /// The gate stopped it at the last moment.
        Stopped = "stopped",
        /// A directive was rejected.
        Rejected = "rejected",
        /// A contract was replaced.
        Edited = "edited",
        /// A contract was replaced and approved.
        EditedApproved = "edited_approved",
        /// A directive was put to the gate again.
        Retried = "retried",
        /// A run was paused.
        Paused = "paused",
        /// A run goes on.
        Resumed = "resumed",
        /// A run is being given up.
        Aborted = "aborted",
        /// A step whose result was unknown was decided on.
        Decided = "decided",
        /// An incident was moved.
        Moved = "moved",
        /// The kill switch was engaged.
        Engaged = "engaged",
        /// A person lets another decide.
        Delegated = "delegated",
        /// A delegation was taken back.
        DelegationRevoked = "delegation_revoked",
        /// A signing key was registered.
        KeyRegistered = "key_registered",
        /// A signing key was confirmed.
        KeyConfirmed = "key_confirmed",
        /// A signing key was revoked.
        KeyRevoked = "key_revoked",
        /// The release of a kill switch was asked for.
        ReleaseAsked = "release_asked",
        /// A kill switch was released.
        Released = "released",
        /// A kill switch was tried.
        Drilled = "drilled",
        /// A set of policies is enforced.
        Promoted = "promoted",
        /// A set of policies was withdrawn.
        SetWithdrawn = "set_withdrawn",
        /// A type of directive was signed off.
        SignedOff = "signed_off",
        /// A sign-off was taken back.
        SignOffTaken = "sign_off_taken",
    }
}

impl Flash {
    fn sentence(self) -> &'static str {
        match self {
            Self::Approved => "Approved and recorded. The run starts by itself.",
            Self::Endorsed => "Your yes is recorded. Another person must agree too.",
            Self::Stopped => "The gate stopped it: something changed since you looked.",
            Self::Rejected => "Rejected and recorded.",
            Self::Edited => "The contract was replaced and put to the gate again.",
            Self::EditedApproved => "The contract was replaced, checked again and approved.",
            Self::Retried => "It was put to the gate again.",
            Self::Paused => "Paused. No further step starts.",
            Self::Resumed => "It goes on.",
            Self::Aborted => "Aborting. What is reversible is undone in reverse order.",
            Self::Decided => "Your decision on the unknown result is recorded.",
            Self::Moved => "The incident was moved.",
            Self::Engaged => "The kill switch is engaged. No step within its scope starts.",
            Self::Delegated => "They may decide for you from now on.",
            Self::DelegationRevoked => "The delegation is revoked.",
            Self::KeyRegistered => {
                "Your key is registered. Tell another admin its id, so that they confirm it."
            }
            Self::KeyConfirmed => "The key is confirmed. What it signs counts.",
            Self::KeyRevoked => "The key is revoked. Nothing that it signed counts.",
            Self::ReleaseAsked => "Release asked for. A second person must confirm it.",
            Self::Released => "The kill switch is released.",
            Self::Drilled => "The drill is recorded.",
            Self::Promoted => {
                "Enforced and recorded. Pending approvals under the former rules are void."
            }
            Self::SetWithdrawn => "Withdrawn and recorded. It is asked no more.",
            Self::SignedOff => "Signed off and recorded. Its directives may run without a person.",
            Self::SignOffTaken => "Taken back and recorded. A person approves every run.",
        }
    }
}

/// Who looks at the page.
#[derive(Clone, Debug, Default)]
pub struct Viewer {
    /// Their name.
    pub name: String,
    /// Their roles.
    pub roles: Vec<String>,
    /// The tenant's name.
    pub tenant: String,
    /// The token that their forms carry.
    pub csrf: String,
    /// Whether they may follow the ledger, by which pages keep themselves
    /// current.
    pub follows: bool,
    /// How many approvals wait.
    pub waiting: usize,
    /// The kill switch scopes that are engaged.
    pub stopped: Vec<String>,
}

/// What every page is put into.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The time at which the page was made.
    pub now: Timestamp,
    /// Where in the navigation it stands.
    pub section: Section,
    /// Dark or light.
    pub theme: Theme,
    /// Who looks; `None` before they have logged in.
    pub viewer: Option<Viewer>,
    /// What has just been done.
    pub flash: Option<Flash>,
    /// The path of this page with its query, to come back to.
    pub here: String,
}

impl Frame {
    /// The token that forms carry; empty before login.
    #[must_use]
    pub fn csrf(&self) -> &str {
        self.viewer.as_ref().map_or("", |v| v.csrf.as_str())
    }

    /// The whole page.
    #[must_use]
    pub fn page(&self, title: &str, body: Markup) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" data-theme=(self.theme.to_string()) {
                (self.head(title))
                body.bare[self.viewer.is_none()] {
                    a.skip href="#main" { "Skip to content" }
                    @if let Some(viewer) = &self.viewer {
                        (self.header(viewer))
                        (self.navigation(viewer))
                    }
                    main #main tabindex="-1" data-live[self.viewer.as_ref().is_some_and(|v| v.follows)] {
                        @if let Some(viewer) = &self.viewer { (stopped(viewer)) }
                        @if let Some(flash) = self.flash {
                            p.flash role="status" { span.sign aria-hidden="true" { "✓ " } (flash.sentence()) }
                        }
                        (body)
                    }
                    @if let Some(viewer) = &self.viewer {
                        (self.quick(viewer))
                        (help())
                    }
                }
            }
        }
    }

    fn head(&self, title: &str) -> Markup {
        let scheme = match self.theme {
            Theme::System => "light dark",
            Theme::Dark => "dark",
            Theme::Light => "light",
        };
        html! {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content=(scheme);
                title { (text::plain(title)) " · writ" }
                link rel="icon" href="/static/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/static/app.css";
                script src="/static/app.js" defer {}
            }
        }
    }

    fn header(&self, viewer: &Viewer) -> Markup {
        html! {
            header.top {
                a.brand href="/" { "writ" }
                span.tenant { (text::shown(&viewer.tenant)) }
                span.grow {}
                span #live.live hidden { span.dot aria-hidden="true" {} span #live-word { "connecting" } }
                a.menu href="#nav" { "Menu" }
                details.account {
                    summary { span.sr { "Account: " } (text::shown(&viewer.name)) }
                    div.sheet {
                        p { (text::shown(&viewer.name)) br; span.hint { (viewer.roles.join(", ")) } }
                        (part::form(self, "/theme", "theme", self.appearance()))
                        p { a href="/signing-keys" { "Signing keys" } " · " a href="/delegations" { "Delegations" } }
                        button #help-open type="button" hidden { "Keyboard shortcuts " kbd { "?" } }
                        (part::form(self, "/logout", "logout", html! { button type="submit" { "Log out" } }))
                    }
                }
            }
        }
    }

    fn appearance(&self) -> Markup {
        let choices = [
            (Theme::System, "System"),
            (Theme::Light, "Light"),
            (Theme::Dark, "Dark"),
        ];
        html! {
            input type="hidden" name="back" value=(self.here);
            fieldset {
                legend { "Appearance" }
                div.choices {
                    @for (theme, word) in choices {
                        button type="submit" name="theme" value=(theme.to_string())
                            aria-pressed=(if self.theme == theme { "true" } else { "false" }) { (word) }
                    }
                }
            }
        }
    }

    fn navigation(&self, viewer: &Viewer) -> Markup {
        html! {
            nav #nav aria-label="Main" {
                ul {
                    @for (section, href, name, key) in NAVIGATION {
                        li {
                            a href=(href) aria-current=[self.current(section)] data-go=(key) {
                                span { (name) } (marks(viewer, section))
                            }
                        }
                    }
                }
            }
        }
    }

    fn quick(&self, viewer: &Viewer) -> Markup {
        html! {
            nav #quick aria-label="Quick" {
                ul {
                    @for (section, href, name, _) in NAVIGATION.iter().filter(|n| QUICK.contains(&n.0)) {
                        li {
                            a href=(href) aria-current=[self.current(*section)] { span { (name) } (marks(viewer, *section)) }
                        }
                    }
                }
            }
        }
    }

    fn current(&self, section: Section) -> Option<&'static str> {
        (section == self.section).then_some("page")
    }
}

fn stopped(viewer: &Viewer) -> Markup {
    html! {
        @if !viewer.stopped.is_empty() {
            p.stopped {
                span.sign aria-hidden="true" { "■ " }
                strong { "Kill switch engaged: " }
                @for (at, scope) in viewer.stopped.iter().enumerate() {
                    @if at > 0 { ", " } (text::shown(scope))
                }
                ". " a href="/kill" { "See why" }
            }
        }
    }
}

fn marks(viewer: &Viewer, section: Section) -> Markup {
    html! {
        @if section == Section::Approvals && viewer.waiting > 0 {
            span.count { (viewer.waiting) span.sr { " waiting" } }
        }
        @if section == Section::Kill && !viewer.stopped.is_empty() {
            span.count.bad { "■" span.sr { " engaged" } }
        }
    }
}

fn help() -> Markup {
    let rows: [(&[&str], &str); 8] = [
        (&["?"], "This help"),
        (&["j", "k"], "Next row, row before"),
        (&["Enter"], "Open the row"),
        (&["a"], "Go to the approve form (does not approve)"),
        (&["r"], "Go to the reject form (does not reject)"),
        (&["e"], "Edit the directive on this page"),
        (&["/"], "Go to the filter"),
        (&["Esc"], "Close, or leave a field"),
    ];
    html! {
        dialog #help aria-labelledby="help-h" {
            h2 #help-h { "Keyboard" }
            div.keys {
                table {
                    tbody {
                        @for (keys, what) in rows {
                            tr { th scope="row" { @for key in keys { kbd { (key) } " " } } td { (what) } }
                        }
                    }
                }
                table {
                    tbody {
                        @for (_, _, name, key) in NAVIGATION {
                            tr { th scope="row" { kbd { "g" } " " kbd { (key) } } td { (name) } }
                        }
                    }
                }
            }
            p.hint { "No key decides anything: a decision is always a button that you press." }
            div.actions {
                button #keys-switch type="button" aria-pressed="true" { "Shortcuts are on" }
                button #help-close.primary type="button" { "Close" }
            }
        }
    }
}
