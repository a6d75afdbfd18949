//! The way of a module to the network: made from the permit of its attempt,
//! and shut when the fence is. A module has no other.

use crate::fence::{Barred, Call, Fence};
use gate::Permit;
use kernel::port::{Http, HttpAnswer, HttpFault, HttpRequest};
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;

/// HTTP under a permit. The first request of an attempt leaves only while the
/// fence is open for it; what follows belongs to a step that has begun.
///
/// ```
/// use act::{Fence, PermittedHttp};
/// use kernel::port::Http;
/// use std::sync::Arc;
///
/// fn under(permit: &gate::Permit, http: Arc<dyn Http>, fence: Arc<Fence>) -> PermittedHttp {
///     PermittedHttp::under(permit, http, fence, Arc::default())
/// }
/// ```
/// Without a permit there is none:
/// ```compile_fail,E0423
/// use act::PermittedHttp;
///
/// fn forged<T>(inner: T) -> PermittedHttp {
///     PermittedHttp(inner)
/// }
/// ```
/// The port itself is no way around it:
/// ```compile_fail,E0308
/// fn bare(http: std::sync::Arc<dyn kernel::port::Http>) -> act::PermittedHttp {
///     http
/// }
/// ```
#[derive(Clone)]
pub struct PermittedHttp(Arc<Attempt>);

struct Attempt {
    http: Arc<dyn Http>,
    /// The fence that the first request must pass.
    fence: Arc<Fence>,
    call: Call,
    has_left: Arc<AtomicBool>,
    barred: OnceLock<Barred>,
}

impl PermittedHttp {
    /// HTTP for the attempt that holds this permit. `has_left` is set when its
    /// first request leaves.
    #[must_use]
    pub fn under(
        permit: &Permit,
        http: Arc<dyn Http>,
        fence: Arc<Fence>,
        has_left: Arc<AtomicBool>,
    ) -> Self {
        Self(Arc::new(Attempt {
            http,
            fence,
            call: Call::of(permit),
            has_left,
            barred: OnceLock::new(),
        }))
    }

    /// Sends one request and waits for its answer.
    ///
    /// # Errors
    /// As the port; `NotSent` when the fence did not let it leave.
    pub async fn send(&self, request: HttpRequest) -> Result<HttpAnswer, HttpFault> {
        let attempt = &self.0;
        let mut sending = attempt.http.send(request);
        if attempt.has_left.load(Ordering::SeqCst) {
            return sending.await;
        }
        if let Some(barred) = self.barred() {
            return Err(HttpFault::NotSent(barred.to_string()));
        }
        attempt.fence.refresh(attempt.call.tenant()).await;
        // The fence is passed within the poll that sends the request.
        let left = poll_fn(|ctx| {
            let start = || {
                attempt.has_left.store(true, Ordering::SeqCst);
                sending.as_mut().poll(ctx)
            };
            Poll::Ready(attempt.fence.pass(&attempt.call, start))
        })
        .await;
        match left {
            Ok(Poll::Ready(answer)) => answer,
            Ok(Poll::Pending) => sending.await,
            Err(barred) => {
                let fault = HttpFault::NotSent(barred.to_string());
                attempt.barred.get_or_init(|| barred);
                Err(fault)
            }
        }
    }

    /// Why no request of the attempt could leave, where one was kept.
    #[must_use]
    pub fn barred(&self) -> Option<&Barred> {
        self.0.barred.get()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::fence::tests::{Watched, call};

    /// HTTP of an attempt that has begun, for tests of what modules send.
    pub(crate) fn begun(http: Arc<dyn Http>) -> PermittedHttp {
        PermittedHttp(Arc::new(Attempt {
            http,
            fence: Watched::default().fence(),
            call: call("http.request"),
            has_left: Arc::new(AtomicBool::new(true)),
            barred: OnceLock::new(),
        }))
    }
}
