use std::net::TcpListener;
use std::time::Duration;

use super::{ClientTool, Next, Session, SessionOptions};
use crate::code::{ErrorCode, VoxwireError};

const SOON: Duration = Duration::from_secs(30);

fn code<T: std::fmt::Debug>(result: Result<T, VoxwireError>) -> ErrorCode {
    let VoxwireError::Refused { code, .. } = result.unwrap_err();
    code
}

fn options() -> SessionOptions {
    SessionOptions { proxy: Some(String::new()), ..SessionOptions::default() }
}

#[test]
fn where_nobody_answers_that_is_told_once_and_then_it_is_over() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let session = Session::new(format!("ws://127.0.0.1:{port}"), options()).unwrap();
    assert_eq!(code(session.wait_event(SOON)), ErrorCode::Unreachable);
    assert_eq!(session.wait_event(SOON), Ok(Next::Ended));
    assert_eq!(code(session.send_text("hello".into())), ErrorCode::InvalidState);
    assert_eq!(session.info(), None);
    assert_eq!(session.pull(3, 0), Ok(vec![0; 6]));
    session.push(&[1, 0, 1]);
    session.wait_end().unwrap();
}

#[test]
fn connecting_can_be_stopped_and_time_can_be_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap(); // takes connections, and says nothing
    let port = listener.local_addr().unwrap().port();
    let session = Session::new(format!("ws://127.0.0.1:{port}"), options()).unwrap();
    assert_eq!(session.wait_event(Duration::from_millis(10)), Ok(Next::Nothing));
    session.wait_end().unwrap();
    assert_eq!(session.wait_event(SOON), Ok(Next::Ended));
}

#[test]
fn what_is_no_json_is_refused_before_anything_is_dialled() {
    let open = |options| code(Session::new("ws://127.0.0.1:1".into(), options));
    let metadata = SessionOptions { metadata_json: "{".into(), ..options() };
    assert_eq!(open(metadata), ErrorCode::InvalidArgument);
    let tool = ClientTool {
        name: "t".into(),
        description: String::new(),
        parameters_json: "none".into(),
        timeout_ms: None,
        on_interruption: None,
    };
    assert_eq!(open(SessionOptions { tools: vec![tool], ..options() }), ErrorCode::InvalidArgument);
}
