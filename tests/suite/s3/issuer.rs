//! Who hands temporary credentials out: STS, the portal of SSO, a container's endpoint and an instance's metadata, at one
//! address of this machine. As a proxy, it also answers for the one fixed address that a container has.
//!
//! Apart from `server`, which only knows the keys ([`TEMPORARY`]): what is asked here is written down apart from what is
//! asked of the store.

use std::sync::{Arc, Mutex};

use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::server::TEMPORARY;

/// What the container has to show ("Container credential provider" in the AWS SDKs reference guide).
pub const AUTHORIZATION: &str = "Basic the-container-itself";
/// The token of the instance's metadata ("Use IMDSv2" in the EC2 user guide).
const METADATA_TOKEN: &str = "metadata-token";
/// What `aws sso login` left, and the portal wants to see ("GetRoleCredentials" in the SSO portal's API reference).
pub const SSO_TOKEN: &str = "the-login-itself";
/// The instance's role.
const ROLE: &str = "build-machine";

/// What is handed out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hands {
    /// Credentials, other ones each time.
    Good,
    /// Such as are over.
    Expired,
    /// 403.
    Nothing,
    /// 200, and no credentials in it.
    Garbage,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    pub path: String,
    pub authorization: String,
    pub body: String,
}

struct State {
    hands: Mutex<Hands>,
    asked: Mutex<Vec<Asked>>,
    given: Mutex<usize>,
}

/// Until it is dropped.
pub struct Issuer {
    state: Arc<State>,
    url: String,
    _runtime: Runtime,
}

impl Issuer {
    pub fn start() -> Self {
        let state = State { hands: Mutex::new(Hands::Good), asked: Mutex::default(), given: Mutex::default() };
        let state = Arc::new(state);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(accept(listener, Arc::clone(&state)));
        Issuer { state, url, _runtime: runtime }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on this is handed out.
    pub fn hands(&self, what: Hands) {
        *self.state.hands.lock().unwrap() = what;
    }

    /// Everything that was asked since the last call of this.
    pub fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state.asked.lock().unwrap())
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((socket, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| answer(Arc::clone(&state), request));
            // A client that has gone away.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let header = |name: &str| request.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let (authorization, metadata) = (header("authorization"), header("x-aws-ec2-metadata-token"));
    let login = header("x-amz-sso_bearer_token");
    let body = String::from_utf8(request.into_body().collect().await?.to_bytes().to_vec()).unwrap();
    let asked = Asked { method: method.clone(), path: path.clone(), authorization, body };
    state.asked.lock().unwrap().push(asked.clone());
    let hands = *state.hands.lock().unwrap();
    let beneath = "/latest/meta-data/iam/security-credentials/";
    let is_metadata = path.starts_with("/latest/meta-data/");
    let may = match path.as_str() {
        "/container" => asked.authorization == AUTHORIZATION,
        "/federation/credentials" => login == SSO_TOKEN,
        _ => !is_metadata || metadata == METADATA_TOKEN,
    };
    let (status, text) = match (method.as_str(), path.strip_prefix(beneath)) {
        _ if !may => (
            401,
            "{\"message\": \"Session token not found or invalid\", \"__type\": \"UnauthorizedException\"}".to_owned(),
        ),
        ("PUT", _) if path == "/latest/api/token" => (200, METADATA_TOKEN.to_owned()),
        ("GET", Some("")) => (200, ROLE.to_owned()),
        ("GET", Some(ROLE)) => state.json(hands),
        ("GET", _) if path == "/container" => state.json(hands),
        ("GET", _) if path == "/federation/credentials" => state.of_sso(hands),
        ("POST", _) if path == "/" => state.xml(hands, &asked.body),
        _ => (404, String::new()),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response.headers_mut().insert("x-aws-ec2-metadata-token-ttl-seconds", 21600.into());
    Ok(response)
}

impl State {
    fn next(&self) -> (&'static str, &'static str, &'static str) {
        let mut given = self.given.lock().unwrap();
        *given += 1;
        TEMPORARY[(*given - 1) % TEMPORARY.len()]
    }

    /// As a container's endpoint and an instance's metadata word it.
    fn json(&self, hands: Hands) -> (u16, String) {
        let until = match hands {
            Hands::Good => "2099-01-01T00:00:00Z",
            Hands::Expired => "2001-01-01T00:00:00Z",
            Hands::Nothing => return (403, String::new()),
            Hands::Garbage => return (200, "<html>Log in to the hotel's network</html>".to_owned()),
        };
        let (id, secret, token) = self.next();
        let text = format!(
            "{{\"Code\": \"Success\", \"Type\": \"AWS-HMAC\", \"AccessKeyId\": \"{id}\", \"SecretAccessKey\": \"{secret}\", \
             \"Token\": \"{token}\", \"Expiration\": \"{until}\"}}"
        );
        (200, text)
    }

    /// As the portal of SSO words it.
    fn of_sso(&self, hands: Hands) -> (u16, String) {
        let until: i64 = match hands {
            Hands::Good => 4_070_908_800_000,
            Hands::Expired => 978_307_200_000,
            Hands::Nothing => {
                return (403, "{\"message\": \"No access\", \"__type\": \"ForbiddenException\"}".to_owned());
            }
            Hands::Garbage => return (200, "<html>Log in to the hotel's network</html>".to_owned()),
        };
        let (id, secret, token) = self.next();
        let text = format!(
            "{{\"roleCredentials\": {{\"accessKeyId\": \"{id}\", \"secretAccessKey\": \"{secret}\", \
             \"sessionToken\": \"{token}\", \"expiration\": {until}}}}}"
        );
        (200, text)
    }

    /// As STS words it ("AssumeRole" and "AssumeRoleWithWebIdentity" in the STS API reference).
    fn xml(&self, hands: Hands, body: &str) -> (u16, String) {
        let fields: Vec<&str> = body.split('&').collect();
        let action = fields.iter().find_map(|field| field.strip_prefix("Action=")).unwrap_or_default();
        let until = match hands {
            Hands::Good => "2099-01-01T00:00:00Z",
            Hands::Expired => "2001-01-01T00:00:00Z",
            Hands::Nothing => {
                let error = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
                             <Message>User dev is not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>";
                return (403, error.to_owned());
            }
            Hands::Garbage => return (200, "<html>Log in to the hotel's network</html>".to_owned()),
        };
        let (id, secret, token) = self.next();
        let text = format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
             <AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken>\
             <Expiration>{until}</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>AROA:s</AssumedRoleId>\
             <Arn>arn:aws:sts::123456789012:assumed-role/team/s</Arn></AssumedRoleUser></{action}Result></{action}Response>"
        );
        (200, text)
    }
}
