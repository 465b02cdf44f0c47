//! The commands as processes: output and exit status.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use zendesk_token::config::settings::SETTINGS;
use zendesk_token::http::openapi;

use crate::client::Request;
use crate::harness::{
    CHAT_SECRET, LOGIN_SECRET, MESSAGING_SECRET, ORIGIN, OTHER_PRODUCTS, PATIENCE, Server, command, output,
    recommended, run_by, send_signal, usual, variable,
};
use crate::login_tokens::PROJECT;
use crate::published_keys::until;
use crate::readme::table;
use crate::reload::{Folder, without};
use crate::settings::SettingsFile;

/// Exit status and output of a command.
#[derive(Debug)]
pub struct CommandOutput {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for CommandOutput {
    fn from(output: Output) -> Self {
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        Self { status: output.status.code(), out, err }
    }
}

impl CommandOutput {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

/// Runs the binary to its end.
pub fn run(arguments: &[&str], settings: &[(&str, &str)]) -> CommandOutput {
    output(arguments, settings).into()
}

#[test]
fn check_shows_the_endpoints_and_only_the_lengths_of_secrets() {
    let secret_file = SettingsFile::new(format!("{CHAT_SECRET}\n"));
    let file = SettingsFile::new(format!(
        "listen = \"0.0.0.0:8001\"\n[login]\nsecret = \"{LOGIN_SECRET}\"\nproject_id = \"{PROJECT}\"\nmax_lifetime = \"24h\"\n[chat]\nsecret_file = \"{}\"\n[cors]\norigins = [\"{ORIGIN}\"]\n",
        secret_file.path().display()
    ));
    let result = run(&["check", "--config", file.path().to_str().unwrap()], &[("chat.lifetime", "6m")]);
    let report = &result.out;
    assert_eq!(result.status, Some(0), "{}", result.err);
    let rows: Vec<Vec<&str>> = report.lines().map(|line| line.split_whitespace().collect()).collect();
    let path = file.path().display();
    let has = |row: &[&str]| rows.iter().any(|words| words == row);
    assert!(has(&["listen", "0.0.0.0:8001", &format!("({path}:1)")]), "{report}");
    assert!(has(&["login.secret", "set", "(64", "bytes)", &format!("({path}:3)")]), "{report}");
    let secret_path = secret_file.path().display().to_string();
    assert!(has(&["chat.secret_file", &secret_path, "(64", "bytes)", &format!("({path}:7)")]), "{report}");
    assert!(has(&["chat.lifetime", "6m", "(ZENDESK_TOKEN_CHAT__LIFETIME)"]), "{report}");
    assert!(has(&["login.cookie", "token", "(default)"]), "{report}");
    assert!(rows.iter().any(|row| row.starts_with(&["not", "set:"]) && row.contains(&"login.issuer,")), "{report}");
    assert!(report.ends_with("No errors, 0 warning(s).\n"));
    assert!(report.contains("http://0.0.0.0:8001/generate/token"));
    assert!(report.contains("/jwt_fn.js") && !report.contains("integrity"), "a hash breaks every page at an upgrade");
    for setting in SETTINGS {
        assert!(rows.iter().flatten().any(|word| word.trim_end_matches(',') == setting.key), "{}", setting.key);
    }
    assert_eq!(run(&["check"], &[]).status, Some(2));
}

#[test]
fn check_explains_who_can_set_and_read_the_login_cookie() {
    let report = |cookie: &str| run(&["check"], &usual(&[("login.cookie", cookie)])).out;
    for name in ["__Host-token", "__Host-login"] {
        let report = report(name);
        for text in [
            &format!("The login cookie \"{name}\" can be set only by the shop's own host"),
            &format!("{name}=<the login token>; Path=/; Secure; HttpOnly; SameSite=Lax\n"),
            "location /support-token/",
        ] {
            assert!(report.contains(text), "{text}: {report}");
        }
        assert!(!report.contains("Domain=example.com"), "{report}");
    }
    // Browsers treat these as ordinary names; for the last two, some browsers differ.
    for name in ["token", "__Secure-token", "Host-token", "__host-token", "__HOST-token"] {
        let report = report(name);
        assert!(report.contains(&format!("The login cookie \"{name}\" can be set by any subdomain")), "{report}");
        assert!(report.contains("Safer: login.cookie = \"__Host-token\"") && report.contains("Domain=example.com"));
    }
    let result = run(&["check"], &[("login.secret", LOGIN_SECRET), ("support_sdk.secret", CHAT_SECRET)]);
    assert_eq!(result.status, Some(0), "{}", result.err);
    assert!(!result.out.contains("The login cookie"), "Zendesk's servers send none");
}

#[test]
fn no_command_takes_or_prints_a_secret_as_the_key_id() {
    for secret in [MESSAGING_SECRET, LOGIN_SECRET] {
        let settings = usual(&[&OTHER_PRODUCTS[..], &[("messaging.key_id", secret)]].concat());
        for command in [&["check"][..], &["serve"], &["inspect"], &["inspect", "--zendesk", "messaging"]] {
            let CommandOutput { status, out, err } = run(command, &settings);
            assert_eq!(status, Some(2), "{command:?}: {out}{err}");
            assert!(err.starts_with("messaging.key_id (ZENDESK_TOKEN_MESSAGING__KEY_ID): has the value of"), "{err}");
            assert!(!out.contains(secret) && !err.contains(secret), "{command:?}: {out}{err}");
        }
    }
}

#[test]
fn check_names_the_effect_of_recommended_settings_that_are_not_set() {
    for (key, start, effect, warnings) in [
        ("login.project_id", "Warning: login.project_id (", "of any login project", 1),
        ("login.max_lifetime", "Warning: login.max_lifetime (", "of any lifetime", 1),
        ("cors.origins", "", "cors.origins is not set: only apps and pages of the service's own host", 0),
    ] {
        let names_it = |report: &str| report.lines().any(|line| line.starts_with(start) && line.contains(effect));
        let result = run(&["check"], &without(&[key], recommended(&[])));
        assert!(result.status == Some(0) && names_it(&result.out), "{key}: {}", result.out);
        assert!(result.out.ends_with(&format!("No errors, {warnings} warning(s).\n")), "{}", result.out);
        let report = run(&["check"], &recommended(&[])).out;
        assert!(report.ends_with("No errors, 0 warning(s).\n") && !names_it(&report), "{report}");
    }
}

#[test]
fn secret_prints_a_new_strong_secret() {
    let secrets = [(); 2].map(|()| run(&["secret"], &[]).out);
    assert_ne!(secrets[0], secrets[1]);
    for secret in &secrets {
        let secret = secret.strip_suffix('\n').unwrap();
        assert!(secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit()), "{secret}");
        assert_eq!(run(&["check"], &usual(&[("login.secret", secret)])).status, Some(0));
    }
}

#[test]
fn every_command_has_help_and_is_in_the_reference() {
    let version = format!("zendesk-token {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run(&["--version"], &[]).out, version);
    let overview = run(&["--help"], &[]).out;
    let commands = overview.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap().lines();
    let names: Vec<String> = commands.filter_map(|line| Some(format!("`{}`", line.split(' ').nth(2)?))).collect();
    let documented: Vec<String> = table("Command").into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(documented, names.strip_suffix(&["`help`".to_owned()]).unwrap());
    for subcommand in ["serve", "demo", "check", "inspect", "healthcheck", "conflict", "visitor", "secret", "openapi"] {
        assert!(overview.contains(subcommand));
        let help = run(&[subcommand, "--help"], &[]);
        assert_eq!(help.status, Some(0));
        assert!(help.out.contains("--config") && help.out.len() > 200);
    }
    let help = run(&["serve", "--help"], &[]);
    for setting in SETTINGS {
        assert!(help.out.contains(&setting.variable()) && help.out.contains(setting.help), "{}", setting.key);
    }
    for subcommand in ["secret", "demo", "openapi"] {
        assert_eq!(run(&[subcommand, "--config", "/nowhere.toml"], &[]).status, Some(2), "{subcommand}");
    }
    let printed = run(&["openapi"], &[("login.secret", "nonsense")]);
    assert_eq!((printed.status, printed.out.as_str()), (Some(0), openapi::text()));
    for wrong in [&["swerve"][..], &[], &["serve", "--port", "1"], &["secret", "extra"]] {
        assert_eq!(run(wrong, &[]).status, Some(2), "{wrong:?}");
    }
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    for arguments in [&["secret"][..], &["openapi"], &["check"]] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = command(arguments, &usual(&[])).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert!(error.starts_with("can't write to standard output: No space left"), "{arguments:?}: {error}");
    }
}

#[test]
fn a_closed_pipe_causes_no_panic() {
    for subcommand in ["check", "secret", "demo"] {
        let mut child = command(&[subcommand], &usual(&[]));
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output: CommandOutput = child.wait_with_output().unwrap().into();
        assert!(output.status != Some(101) && !output.err.contains("panicked"), "{subcommand}: {}", output.err);
    }
}

#[test]
fn an_address_in_use_is_reported_with_its_key() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for key in ["listen", "admin.listen"] {
        let result = run(&["serve"], &usual(&[(key, &address)]));
        assert_eq!(result.status, Some(1));
        assert!(
            result.err.starts_with(&format!("{key} ({}): can't listen on {address}", variable(key))),
            "{}",
            result.err
        );
    }
}

fn healthcheck(listen: &str) -> CommandOutput {
    run(&["healthcheck"], &[("admin.listen", listen)])
}

#[test]
fn healthcheck_succeeds_only_if_the_service_is_ready() {
    let server = Server::with(&[("limits.drain_delay", "1h")]);
    let admin = server.admin.to_string();
    let wrong = [("admin.listen", admin.as_str()), ("login.secret", "short"), ("log.level", "loud")];
    assert_eq!(run(&["healthcheck"], &wrong).status, Some(0), "other settings are ignored");

    server.signal("TERM");
    until("not ready", || healthcheck(&admin).status != Some(0));
    let draining = healthcheck(&admin);
    assert_eq!(draining.status, Some(1));
    assert!(draining.err.contains("not ready"), "{}", draining.err);
    drop(server);

    for (listen, message) in [
        (admin.as_str(), "is the service running with these settings?"),
        ("nonsense", "admin.listen (ZENDESK_TOKEN_ADMIN__LISTEN): needs"),
        ("127.0.0.1:0", "port 0"),
    ] {
        let result = healthcheck(listen);
        assert!(result.status == Some(1) && result.err.contains(message), "{message}: {}", result.err);
    }
    assert_eq!(run(&["healthcheck", "--config", "/nowhere.toml"], &[]).status, Some(1));
}

#[test]
fn healthcheck_reaches_ipv4_and_ipv6_listeners() {
    let any = "0.0.0.0";
    for (listens, asks) in [("[::1]:0", "[::1]"), ("[::]:0", "[::]"), ("0.0.0.0:0", any), ("127.0.0.1:0", any)] {
        let server = Server::with(&[("admin.listen", listens)]);
        let asked = format!("{asks}:{}", server.admin.port());
        let result = healthcheck(&asked);
        assert_eq!(result.status, Some(0), "{asked}: {}", result.err);
    }
}

#[test]
fn healthcheck_gives_up_on_answers_and_settings_that_never_end() {
    type Answer = fn(&mut std::net::TcpStream);
    let silent: Answer = |stream| drop(stream.read(&mut [0; 1]));
    let other_protocol: Answer = |stream| drop(stream.write_all(b"220 smtp.example.com ESMTP\r\n"));
    let endless: Answer = |stream| while stream.write_all(b"HTTP/1.1 200 OK").is_ok() {};
    let trickling: Answer = |stream| {
        while stream.write_all(b"H").is_ok() {
            thread::sleep(Duration::from_millis(100));
        }
    };
    let started = Instant::now();
    for answer in [silent, other_protocol, endless, trickling] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let server = thread::spawn(move || answer(&mut listener.accept().unwrap().0));
        assert_eq!(healthcheck(&address.to_string()).status, Some(1));
        server.join().unwrap();
    }
    let folder = Folder::new();
    let pipe = folder.path("never-ends.toml");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let result = run(&["healthcheck", "--config", pipe.to_str().unwrap()], &[]);
    assert_eq!(result.status, Some(1), "{}", result.err);
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
}

#[test]
fn no_command_leaves_its_secrets_in_a_core_dump() {
    let folder = Folder::new();
    fs::set_permissions(folder.path(""), fs::Permissions::from_mode(0o777)).unwrap();
    let binary = folder.path("zendesk-token");
    // Copied by another process: a file that is open for writing, even in a fork of another test, can't be run.
    let copied = Command::new("cp").args([env!("CARGO_BIN_EXE_zendesk-token").as_ref(), binary.as_path()]).status();
    assert!(copied.unwrap().success());
    // With core dumps enabled, and not as root.
    let dumping = |arguments: &[&str]| {
        let script = format!("shift; ulimit -c unlimited; exec {} \"$@\"", binary.display());
        let mut outer = run_by("sh", &["-c", &script, "sh"], &command(arguments, &usual(&[])));
        outer.current_dir(folder.path(""));
        if fs::metadata("/proc/self").unwrap().uid() == 0 {
            outer.uid(65534);
        }
        outer
    };
    let is_protected = |process: u32| {
        let limits = fs::read_to_string(format!("/proc/{process}/limits")).unwrap_or_default();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default();
        // The limit does not apply to a dump that goes to a program. The /proc files of a process that can't be dumped belong
        // to root (proc(5)).
        core.split_whitespace().filter(|word| *word == "0").count() == 2
            && fs::metadata(format!("/proc/{process}/fd")).is_ok_and(|fds| fds.uid() == 0)
    };
    for signal in ["ABRT", "TRAP"] {
        let server = Server::run(dumping(&["serve"]));
        assert!(is_protected(server.id()));
        // The process metrics come from /proc too.
        let metrics = Request::new(server.admin, "GET", "/metrics").send().body;
        assert!(metrics.contains("process_open_fds") && metrics.contains("process_resident_memory_bytes"), "{metrics}");
        let status = server.stop_by(signal).status;
        assert!(status.signal().is_some() && !status.core_dumped(), "{signal}: {status}");
    }
    let mut inspect = dumping(&["inspect"]).stdin(Stdio::piped()).spawn().unwrap();
    until("protected", || is_protected(inspect.id()));
    send_signal("ABRT", &inspect.id().to_string());
    let status = inspect.wait().unwrap();
    assert!(status.signal().is_some() && !status.core_dumped(), "{status}");
    assert_eq!(fs::read_dir(folder.path("")).unwrap().count(), 1, "the binary alone");
}
