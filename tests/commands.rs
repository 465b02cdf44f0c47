//! The commands as processes: output and exit status.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use zendesk_token::config::settings::SETTINGS;

use crate::client::Request;
use crate::harness::{
    CHAT_SECRET, LOGIN_SECRET, MESSAGING_SECRET, ORIGIN, OTHER_PRODUCTS, PATIENCE, Server, command, output,
    recommended, run_by, send_signal, usual,
};
use crate::login_tokens::PROJECT;
use crate::published_keys::until;
use crate::reload::Folder;
use crate::settings::SettingsFile;

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn check_shows_the_endpoints_and_only_the_lengths_of_secrets() {
    let secret_file = SettingsFile::new(format!("{CHAT_SECRET}\n"));
    let file = SettingsFile::new(format!(
        "listen = \"0.0.0.0:8001\"\n[login]\nsecret = \"{LOGIN_SECRET}\"\nproject_id = \"{PROJECT}\"\nmax_lifetime = \"24h\"\n[chat]\nsecret_file = \"{}\"\n[cors]\norigins = [\"{ORIGIN}\"]\n",
        secret_file.path().display()
    ));
    let result = output(&["check", "--config", file.path().to_str().unwrap()], &[("chat.lifetime", "6m")]);
    let report = stdout(&result);
    assert_eq!(result.status.code(), Some(0), "{}", stderr(&result));
    let rows: Vec<Vec<&str>> = report.lines().map(|line| line.split_whitespace().collect()).collect();
    let path = file.path().display();
    let has = |row: &[&str]| rows.iter().any(|words| words == row);
    assert!(has(&["listen", "0.0.0.0:8001", &format!("({path}:1)")]), "{report}");
    assert!(has(&["login.secret", "64", "bytes", &format!("({path}:3)")]), "{report}");
    assert!(has(&[
        "chat.secret_file",
        &secret_file.path().display().to_string(),
        "(64",
        "bytes)",
        &format!("({path}:7)")
    ]));
    assert!(has(&["chat.lifetime", "6m", "(ZENDESK_TOKEN_CHAT__LIFETIME)"]), "{report}");
    assert!(has(&["login.cookie", "token", "(default)"]), "{report}");
    assert!(
        rows.iter().any(|words| words[..].starts_with(&["not", "set:"]) && words.contains(&"login.issuer,")),
        "{report}"
    );
    assert!(report.ends_with("No errors, 0 warning(s).\n"));
    assert!(report.contains("http://0.0.0.0:8001/generate/token"));
    for setting in SETTINGS {
        assert!(rows.iter().flatten().any(|word| word.trim_end_matches(',') == setting.key), "{}", setting.key);
    }
    assert_eq!(output(&["check"], &[]).status.code(), Some(2));
}

#[test]
fn check_says_who_can_set_and_read_the_login_cookie() {
    for name in ["__Host-token", "__Host-login"] {
        let result = output(&["check"], &usual(&[("login.cookie", name)]));
        let report = stdout(&result);
        assert!(
            report.contains(&format!("The login cookie \"{name}\" can be set only by the shop's own host")),
            "{report}"
        );
        assert!(report.contains(&format!("{name}=<the login token>; Path=/; Secure; HttpOnly; SameSite=Lax\n")));
        assert!(report.contains("location /support-token/") && !report.contains("Domain=example.com"), "{report}");
    }
    // Browsers treat these as ordinary names; for the last two, some browsers differ.
    for name in ["token", "__Secure-token", "Host-token", "__host-token", "__HOST-token"] {
        let result = output(&["check"], &usual(&[("login.cookie", name)]));
        let report = stdout(&result);
        assert!(report.contains(&format!("The login cookie \"{name}\" can be set by any subdomain")), "{report}");
        assert!(report.contains("Safer: login.cookie = \"__Host-token\"") && report.contains("Domain=example.com"));
    }
    let result = output(&["check"], &[("login.secret", LOGIN_SECRET), ("support_sdk.secret", CHAT_SECRET)]);
    assert_eq!(result.status.code(), Some(0), "{}", stderr(&result));
    assert!(!stdout(&result).contains("The login cookie"), "Zendesk's servers send none");
}

#[test]
fn no_command_takes_or_prints_a_secret_as_the_key_id() {
    for secret in [MESSAGING_SECRET, LOGIN_SECRET] {
        let settings = usual(&[&OTHER_PRODUCTS[..], &[("messaging.key_id", secret)]].concat());
        for command in [&["check"][..], &["serve"], &["inspect"], &["inspect", "--zendesk", "messaging"]] {
            let result = output(command, &settings);
            let (out, error) = (stdout(&result), stderr(&result));
            assert_eq!(result.status.code(), Some(2), "{command:?}: {out}{error}");
            assert!(
                error.starts_with("messaging.key_id (ZENDESK_TOKEN_MESSAGING__KEY_ID): has the value of"),
                "{error}"
            );
            assert!(!out.contains(secret) && !error.contains(secret), "{command:?}: {out}{error}");
        }
    }
}

#[test]
fn check_recommends_a_project_and_a_maximum_lifetime() {
    for (key, what) in [("login.project_id", "of any login project"), ("login.max_lifetime", "of any lifetime")] {
        let mut settings = recommended(&[]);
        settings.retain(|(set, _)| *set != key);
        let result = output(&["check"], &settings);
        let report = stdout(&result);
        let warning = report.lines().find(|line| line.starts_with(&format!("Warning: {key} ("))).unwrap();
        assert!(warning.contains(what) && report.ends_with("No errors, 1 warning(s).\n"), "{report}");
    }
    assert!(stdout(&output(&["check"], &recommended(&[]))).ends_with("No errors, 0 warning(s).\n"));
}

#[test]
fn secret_prints_a_new_strong_secret() {
    let secrets = [output(&["secret"], &[]), output(&["secret"], &[])].map(|result| stdout(&result).to_owned());
    assert_ne!(secrets[0], secrets[1]);
    for secret in &secrets {
        let secret = secret.strip_suffix('\n').unwrap();
        assert!(secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit()), "{secret}");
        assert_eq!(output(&["check"], &usual(&[("login.secret", secret)])).status.code(), Some(0));
    }
}

#[test]
fn every_command_has_help_and_a_version() {
    let version = format!("zendesk-token {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(stdout(&output(&["--version"], &[])), version);
    for subcommand in ["serve", "demo", "check", "inspect", "healthcheck", "conflict", "visitor", "secret", "openapi"] {
        assert!(stdout(&output(&["--help"], &[])).contains(subcommand));
        let help = output(&[subcommand, "--help"], &[]);
        assert_eq!(help.status.code(), Some(0));
        assert!(stdout(&help).contains("--config") && stdout(&help).len() > 200);
    }
    let help = output(&["serve", "--help"], &[]);
    for setting in SETTINGS {
        assert!(stdout(&help).contains(&setting.variable()) && stdout(&help).contains(setting.help), "{}", setting.key);
    }
    let ignored = ["--config", "/nowhere.toml"];
    assert_eq!(output(&["secret", ignored[0], ignored[1]], &[]).status.code(), Some(2));
    assert_eq!(output(&["demo", ignored[0], ignored[1]], &[]).status.code(), Some(2));
    for wrong in [&["swerve"][..], &[], &["serve", "--port", "1"], &["secret", "extra"]] {
        assert_eq!(output(wrong, &[]).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn a_closed_pipe_causes_no_panic() {
    for subcommand in ["check", "secret", "demo"] {
        let mut child = command(&[subcommand], &usual(&[]));
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let status = child.wait().unwrap();
        let mut message = String::new();
        child.stderr.take().unwrap().read_to_string(&mut message).unwrap();
        assert!(!message.contains("panicked"), "{subcommand}: {message}");
        assert_ne!(status.code(), Some(101));
    }
}

#[test]
fn an_address_in_use_is_reported_with_its_key() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for key in ["listen", "admin.listen"] {
        let result = output(&["serve"], &usual(&[(key, &address)]));
        assert_eq!(result.status.code(), Some(1));
        assert!(stderr(&result).starts_with(&format!("{key}: can't listen on {address}")), "{}", stderr(&result));
    }
}

#[test]
fn healthcheck_succeeds_only_if_the_service_is_ready() {
    let server = Server::with(&[("limits.drain_delay", "1h")]);
    let ask = |listen: &str| output(&["healthcheck"], &[("admin.listen", listen)]);
    let port = server.admin.port();
    for listen in [format!("127.0.0.1:{port}"), format!("0.0.0.0:{port}")] {
        assert_eq!(ask(&listen).status.code(), Some(0), "{listen}");
    }
    // Other settings are ignored.
    let others_wrong =
        [("admin.listen", &*format!("127.0.0.1:{port}")), ("login.secret", "short"), ("log.level", "loud")];
    assert_eq!(output(&["healthcheck"], &others_wrong).status.code(), Some(0));

    server.signal("TERM");
    until("not ready", || ask(&server.admin.to_string()).status.code() != Some(0));
    let draining = ask(&server.admin.to_string());
    assert_eq!(draining.status.code(), Some(1));
    assert!(stderr(&draining).contains("not ready"), "{}", stderr(&draining));
    drop(server);

    let gone = ask(&format!("127.0.0.1:{port}"));
    assert_eq!(gone.status.code(), Some(1));
    assert!(stderr(&gone).contains("is the service running with these settings?"), "{}", stderr(&gone));
    assert_eq!(output(&["healthcheck", "--config", "/nowhere.toml"], &[]).status.code(), Some(1));
    for (listen, message) in
        [("nonsense", "admin.listen (ZENDESK_TOKEN_ADMIN__LISTEN): needs"), ("127.0.0.1:0", "port 0")]
    {
        let result = ask(listen);
        assert_eq!(result.status.code(), Some(1));
        assert!(stderr(&result).contains(message), "{}", stderr(&result));
    }
}

#[test]
fn healthcheck_gives_up_on_settings_that_block() {
    let folder = std::env::temp_dir().join(format!("zendesk-token-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let pipe = folder.join("never-ends.toml");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let started = Instant::now();
    let result = output(&["healthcheck", "--config", pipe.to_str().unwrap()], &[]);
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(result.status.code(), Some(1), "{}", stderr(&result));
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
}

#[test]
fn healthcheck_reaches_ipv4_and_ipv6_listeners() {
    for (listens, asks) in [("[::1]:0", "[::1]"), ("[::]:0", "[::]"), ("0.0.0.0:0", "0.0.0.0")] {
        let server = Server::with(&[("admin.listen", listens)]);
        let asked = format!("{asks}:{}", server.admin.port());
        let result = output(&["healthcheck"], &[("admin.listen", &asked)]);
        assert_eq!(result.status.code(), Some(0), "{asked}: {}", stderr(&result));
    }
}

#[test]
fn healthcheck_gives_up_within_3_seconds_on_any_answer() {
    type Answer = fn(&mut std::net::TcpStream);
    let silent: Answer = |stream| drop(stream.read(&mut [0; 1]));
    let rude: Answer = |stream| drop(stream.write_all(b"220 smtp.example.com ESMTP\r\n"));
    let endless: Answer = |stream| while stream.write_all(b"HTTP/1.1 200 OK").is_ok() {};
    let trickling: Answer = |stream| {
        while stream.write_all(b"H").is_ok() {
            thread::sleep(Duration::from_millis(100));
        }
    };
    for answer in [silent, rude, endless, trickling] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let server = thread::spawn(move || answer(&mut listener.accept().unwrap().0));
        let started = Instant::now();
        let result = output(&["healthcheck"], &[("admin.listen", &address.to_string())]);
        assert_eq!(result.status.code(), Some(1));
        assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
        server.join().unwrap();
    }
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

#[test]
fn check_says_who_gets_tokens_without_origins() {
    let mut settings = recommended(&[]);
    settings.retain(|(key, _)| *key != "cors.origins");
    let checked = output(&["check"], &settings);
    let report = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success(), "{report}");
    assert!(report.contains("cors.origins is not set: only apps and pages of the service's own host"), "{report}");
    assert!(report.contains("No errors, 0 warning(s)."), "{report}");
    let with_origins = String::from_utf8(output(&["check"], &usual(&[])).stdout).unwrap();
    assert!(!with_origins.contains("cors.origins is not set"), "{with_origins}");
}
