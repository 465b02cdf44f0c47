//! Runs the service inside the test process: requests go to its routers without a socket, and its log is captured.

use std::convert::Infallible;
use std::io::{self, Write};
use std::mem;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::Request as HttpRequest;
use axum::response::Response;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;
use tracing::dispatcher::{self, Dispatch};
use zendesk_token::exchange::Exchange;
use zendesk_token::http::{LiveRouter, admin};
use zendesk_token::metrics::Metrics;

use crate::client::{Answer, Request};
use crate::harness::{OTHER_PRODUCTS, usual};
use crate::login_tokens::now;
use crate::settings::load;

/// A router.
pub type Service = BoxCloneSyncService<HttpRequest<Body>, Response, Infallible>;

/// A service without listeners. It runs until the last clone is dropped.
#[derive(Clone)]
pub struct App {
    public: Service,
    admin: Service,
    runtime: Arc<Runtime>,
    log: Log,
}

impl App {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// The usual settings with some changed.
    pub fn with(changes: &[(&str, &str)]) -> Self {
        Self::of(&usual(changes))
    }

    /// All four products, with some settings changed.
    pub fn with_all_products(changes: &[(&str, &str)]) -> Self {
        Self::with(&[&OTHER_PRODUCTS[..], changes].concat())
    }

    /// Exactly these settings.
    pub fn of(settings: &[(&str, &str)]) -> Self {
        let config = load(None, settings).unwrap();
        let log = Log::default();
        let dispatch = log.dispatch();
        // Every task runs on a thread of the runtime, so that its events reach this log and no other.
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .on_thread_start(move || mem::forget(dispatcher::set_default(&dispatch)))
            .build()
            .unwrap();
        let (public, admin) = runtime
            .block_on(runtime.spawn(async move {
                let metrics = Metrics::new();
                let exchange = Arc::new(Exchange::new(&config, &metrics, None).unwrap());
                for keys in exchange.published_keys() {
                    let keys = Arc::clone(keys);
                    tokio::spawn(async move { keys.keep_fresh(now).await });
                }
                let live = LiveRouter::new(exchange, &config, &metrics);
                (Service::new(live.clone()), Service::new(admin::router(live, metrics)))
            }))
            .unwrap();
        Self { public, admin, runtime: Arc::new(runtime), log }
    }

    pub fn get(&self, path: &str) -> Request {
        self.request("GET", path)
    }

    pub fn request(&self, method: &str, path: &str) -> Request {
        Request::in_process(self, &self.public, method, path)
    }

    /// A request to the admin listener.
    pub fn admin(&self, method: &str, path: &str) -> Request {
        Request::in_process(self, &self.admin, method, path)
    }

    /// Answers a request of a client on loopback, in the background.
    pub fn start_request(&self, router: Service, mut request: HttpRequest<Body>) -> JoinHandle<Answer> {
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 50_000))));
        self.runtime.spawn(async move { read(router.oneshot(request).await.unwrap()).await })
    }

    pub fn wait(&self, answer: JoinHandle<Answer>) -> Answer {
        self.runtime.block_on(answer).unwrap()
    }

    /// The lines that were logged until now.
    pub fn log(&self) -> Vec<String> {
        let bytes = self.log.0.lock().unwrap();
        String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
    }
}

/// The whole response.
pub async fn read(response: Response) -> Answer {
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes())));
    Answer { status: head.status.as_u16(), headers: headers.collect(), body: text(&body) }
}

/// Log lines in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// A subscriber that writes to this log as the service does by default.
    fn dispatch(&self) -> Dispatch {
        let log = self.clone();
        let lines = tracing_subscriber::fmt().json().flatten_event(true).with_current_span(false).with_span_list(false);
        lines.with_target(false).with_writer(move || log.clone()).into()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
