//! A small server for this machine only: the page's sources as they lie, and the engines as they get ready.

use crate::error::{Error, Result};
use crate::process;
use crate::progress;
use crate::setup::wasm_target::WasmTarget;
use crate::site;
use crate::wasm::{self, Engine};
use crate::workspace::{Workspace, unattended};
use clap::Args;
use std::fs::File;
use std::io;
use std::process::{Command, Stdio};
use std::thread;
use tiny_http::{Header, Method, Request, Response, Server};

#[derive(Args)]
pub(crate) struct ServeArguments {
    /// Port on 127.0.0.1; taken by another program, the next free one is used.
    #[arg(long, default_value_t = 8130)]
    port: u16,
    /// Only print the address.
    #[arg(long)]
    no_open: bool,
    /// Leave the WebGPU engine unbuilt.
    #[arg(long)]
    cpu_only: bool,
}

/// What is served, and under which path.
pub(crate) struct Site<'a> {
    pub(crate) workspace: &'a Workspace,
    /// Begins and ends with a slash.
    pub(crate) base: &'a str,
}

/// Enough for a browser's parallel requests.
pub(crate) const THREADS: usize = 4;
/// Ports that are tried from the wanted one on.
const PORTS: u16 = 20;

pub(crate) fn serve(workspace: &Workspace, arguments: &ServeArguments) -> Result<()> {
    let target = WasmTarget::ready(workspace)?;
    wasm::build(workspace, &target, Engine::Cpu)?;
    let server = listen(arguments.port)?;
    let site = Site { workspace, base: "/" };
    let url = format!("{}{}", origin(&server), site.base);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| answer(&site, &server));
        }
        progress::stage(format_args!("the page is at {url} (stop with Ctrl-C)"));
        if !arguments.no_open && !unattended() {
            open(&url);
        }
        if arguments.cpu_only {
            return;
        }
        match wasm::build(workspace, &target, Engine::Gpu) {
            Ok(()) => progress::stage("the WebGPU engine is ready: reload the page to use it"),
            Err(error) => eprintln!("the WebGPU engine could not be built, the page goes on with the CPU: {error}"),
        }
    });
    Ok(())
}

/// Listens on `port`, or on the next one that is free; port 0 lets the system choose.
pub(crate) fn listen(port: u16) -> Result<Server> {
    let last = if port == 0 { 0 } else { port.saturating_add(PORTS) };
    let mut why = String::new();
    for port in port..=last {
        match Server::http(("127.0.0.1", port)) {
            Ok(server) => return Ok(server),
            Err(error) => why = error.to_string(),
        }
    }
    Err(Error::Listen { port, why })
}

pub(crate) fn origin(server: &Server) -> String {
    format!("http://{}", server.server_addr())
}

/// Answers requests until the server is unblocked.
pub(crate) fn answer(site: &Site, server: &Server) {
    while let Ok(request) = server.recv() {
        // A browser that went away in the middle of an answer is not our trouble.
        let _ = respond(site, request);
    }
}

fn respond(site: &Site, request: Request) -> io::Result<()> {
    let refuse = |code| Response::from_string("").with_status_code(code);
    if !matches!(request.method(), Method::Get | Method::Head) {
        return request.respond(refuse(405));
    }
    let path = request.url().split(['?', '#']).next().unwrap_or_default();
    let Some(file) = path.strip_prefix(site.base).and_then(|path| site::file(site.workspace, path)) else {
        return request.respond(refuse(404));
    };
    let Ok(body) = File::open(&file) else {
        return request.respond(refuse(500));
    };
    let mut response = Response::from_file(body);
    // The engines change under the same name.
    for (name, value) in [
        ("Content-Type", site::media_type(&file)),
        ("Cache-Control", "no-cache"),
        ("X-Content-Type-Options", "nosniff"),
    ] {
        if let Ok(header) = Header::from_bytes(name, value) {
            response.add_header(header);
        }
    }
    request.respond(response)
}

/// Opens the person's browser; the address is on the terminal for who has none here.
fn open(url: &str) {
    let (program, first): (&str, &[&str]) = if cfg!(target_os = "macos") {
        ("open", &[])
    } else if cfg!(windows) {
        ("cmd", &["/C", "start", ""])
    } else {
        ("xdg-open", &[])
    };
    if process::find(&[program]).is_some() {
        let _ = Command::new(program)
            .args(first)
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
    }
}
