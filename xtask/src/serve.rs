//! A small server for this machine only: the page's sources as they lie, and the engines as they get ready.

use crate::dist::policy;
use crate::error::{Error, Result};
use crate::process;
use crate::progress;
use crate::setup::wasm_target::WasmTarget;
use crate::site;
use crate::wasm::{self, Engine};
use crate::workspace::{Workspace, unattended};
use clap::Args;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

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

/// Most bytes of a request's head.
const HEAD_BYTES: u64 = 16 * 1024;
/// Browsers open connections ahead and may never use them.
const PATIENCE: Duration = Duration::from_secs(5);
/// Ports that are tried from the wanted one on.
const PORTS: u16 = 20;

pub(crate) fn serve(workspace: &Workspace, arguments: &ServeArguments) -> Result<()> {
    let target = WasmTarget::ready(workspace)?;
    wasm::build(workspace, &target, Engine::Cpu)?;
    let server = listen(arguments.port)?;
    let site = Site { workspace, base: "/" };
    let url = format!("{}{}", server.origin(), site.base);
    thread::scope(|scope| {
        scope.spawn(|| server.answer(&site));
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

/// A server with a thread a connection and a connection a request. Of `tiny_http` it was seen that requests which came at
/// the same moment waited for connections that stayed open.
pub(crate) struct Server {
    listener: TcpListener,
    address: SocketAddr,
    stopped: AtomicBool,
}

/// Listens on `port`, or on the next one that is free; port 0 lets the system choose.
pub(crate) fn listen(port: u16) -> Result<Server> {
    let last = if port == 0 { 0 } else { port.saturating_add(PORTS) };
    let mut why = String::new();
    for port in port..=last {
        let listening =
            TcpListener::bind(("127.0.0.1", port)).and_then(|listener| Ok((listener.local_addr()?, listener)));
        match listening {
            Ok((address, listener)) => return Ok(Server { listener, address, stopped: AtomicBool::new(false) }),
            Err(error) => why = error.to_string(),
        }
    }
    Err(Error::Listen { port, why })
}

impl Server {
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers requests until the server is stopped.
    pub(crate) fn answer(&self, site: &Site) {
        thread::scope(|scope| {
            for connection in self.listener.incoming() {
                if self.stopped.load(Ordering::Acquire) {
                    return;
                }
                // A browser that went away in the middle of an answer is not our trouble.
                scope.spawn(|| connection.and_then(|stream| respond(site, &stream)));
            }
        });
    }

    /// Makes [`Self::answer`] return.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        // It waits for a connection: this is one. If it fails, the server is gone already.
        let _ = TcpStream::connect(self.address);
    }
}

fn respond(site: &Site, stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head = BufReader::new(stream.take(HEAD_BYTES));
    let mut request = String::new();
    head.read_line(&mut request)?;
    let mut line = String::new();
    while head.read_line(&mut line)? > 0 && line != "\r\n" {
        line.clear();
    }
    let mut words = request.split_ascii_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let found = path.strip_prefix(site.base).and_then(|path| site::file(site.workspace, path));
    match (method, found) {
        ("GET" | "HEAD", Some(file)) => {
            let mut body = File::open(&file)?;
            let length = body.metadata()?.len();
            let kind = site::media_type(&file);
            // The engines change under the same name. Workers obey the policy that comes with their own script, not the page's.
            let policy =
                fs::read_to_string(site.workspace.www().join("index.html")).ok().and_then(|index| policy(&index));
            let policy = policy.map(|policy| format!("Content-Security-Policy: {policy}\r\n")).unwrap_or_default();
            let headers = format!("Content-Type: {kind}\r\nCache-Control: no-cache\r\n{policy}");
            write_head(stream, "200 OK", &headers, length)?;
            if method == "GET" { io::copy(&mut body, &mut &*stream).map(|_| ()) } else { Ok(()) }
        }
        ("GET" | "HEAD", None) => write_head(stream, "404 Not Found", "", 0),
        _ => write_head(stream, "405 Method Not Allowed", "", 0),
    }
}

/// Only an isolated page may share memory with its workers, through which a cancel reaches a scan that is being read.
const ISOLATION: &str = "Cross-Origin-Opener-Policy: same-origin\r\nCross-Origin-Embedder-Policy: require-corp\r\n";

fn write_head(mut stream: &TcpStream, status: &str, headers: &str, length: u64) -> io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{headers}{ISOLATION}X-Content-Type-Options: nosniff\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )
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
