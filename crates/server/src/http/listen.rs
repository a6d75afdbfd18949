//! The listener: HTTP/1.1 connections with bounds that the framework's own
//! loop cannot set (time to send the head, idle time, size of the head,
//! connections at once), and a shutdown that also ends event streams.

use super::seats::{Seats, held};
use super::stall::Stalling;
use super::told::Told;
use crate::app::App;
use crate::limits;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, sleep_until, timeout};
use tower::ServiceExt as _;

/// How long to wait when the machine has no handle for another connection.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// Serves until `shutdown` is ready, then ends event streams and waits, within
/// a bound, for the requests that are under way.
///
/// # Errors
/// When the server's parts cannot be put together.
pub async fn serve(
    listener: TcpListener,
    app: App,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), kernel::Refusal> {
    let router = crate::router(app.clone());
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(app.bounds().connections));
    let seats = Seats::default();
    let least = (limits::ANSWER_PART_BYTES, limits::ANSWER_PART_TIMEOUT);
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEAD_TIMEOUT)
        .max_headers(limits::HEADERS_MAX * 2)
        .max_buf_size(limits::HEAD_BYTES_MAX);
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places, &seats) => accepted,
            () = &mut shutdown => break,
        };
        let (stream, place) = match accepted {
            Ok(accepted) => accepted,
            Err(fault) => {
                tracing::warn!(error = %fault, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let seat = seats.sit();
        let (router, served, told) = (router.clone(), seat.clone(), Told::default());
        let service = service_fn(move |request: Request<Incoming>| {
            let (router, seat, told) = (router.clone(), served.clone(), told.clone());
            async move {
                let serving = seat.serve();
                let response = router.oneshot(request.map(Body::new)).await;
                let response = response.unwrap_or_else(|never| match never {});
                let serving = match told.early(&response) {
                    None => serving,
                    Some(until) => {
                        // Meanwhile it may give way to another.
                        drop(serving);
                        sleep_until(until).await;
                        seat.serve()
                    }
                };
                Ok::<_, Infallible>(held(response, serving))
            }
        });
        let stream = TokioIo::new(Stalling::new(stream, least));
        let connection = graceful.watch(builder.serve_connection(stream, service));
        tokio::spawn(async move {
            tokio::select! {
                // A client that goes away or sends no HTTP is its own affair.
                ended = connection => if let Err(fault) = ended {
                    tracing::debug!(error = %fault, "a connection ended early");
                },
                () = seat.asked_to_leave() => {
                    tracing::debug!("a connection that waited gave way to another");
                }
            }
            seat.left();
            drop(place);
        });
    }
    app.stop();
    drop(listener);
    if timeout(limits::SHUTDOWN_TIMEOUT, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("requests were still under way when the server stopped");
    }
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    seats: &Seats,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    // Requests under way and event streams together are fewer than
    // connections, so that some connection always waits for its client.
    if places.available_permits() == 0 {
        seats.make_room();
    }
    let place = places.clone().acquire_owned().await;
    let place = place.map_err(io::Error::other)?;
    Ok((stream, place))
}
