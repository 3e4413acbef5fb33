//! Brokers for `emitter`: one of MQTT alone, and the real one, which its suite starts
//! itself, for it needs several and restarts them.

use std::{fs, path::Path, process::Command};

use super::{
    install::{Installed, by_path},
    program::need,
    server::{NotUp, Running, connect, free_port},
};
use crate::context::Context;

/// Makes a certificate for loopback that is its own authority, and ends in two days.
fn certificate(installed: &Installed) -> Result<(String, String), NotUp> {
    let folder = installed.home();
    let file = |name: &str| folder.join(name).display().to_string();
    let (certificate, key) = (file("certificate.pem"), file("key.pem"));
    let mut command = Command::new(need("openssl")?);
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
    command.args(["-nodes", "-days", "2", "-subj", "/CN=localhost"]);
    command.args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
    command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    command.args(["-keyout", &key, "-out", &certificate]);
    let output = command.output().map_err(|e| NotUp::Broken(format!("openssl: {e}")))?;
    match output.status.success() {
        true => Ok((certificate, key)),
        false => Err(NotUp::Broken(String::from_utf8_lossy(&output.stderr).into_owned())),
    }
}

/// mosquitto over TCP, TLS and WebSocket.
pub(super) fn mosquitto(
    _context: &Context,
    installed: &Installed,
    running: &mut Running,
) -> Result<(), NotUp> {
    let (tcp, tls, websocket) = (free_port()?, free_port()?, free_port()?);
    let (certificate, key) = certificate(installed)?;
    let config = installed.home().join("mosquitto.conf");
    let text = format!(
        "user root\nallow_anonymous true\npersistence false\n\
         max_queued_messages 0\nset_tcp_nodelay true\n\
         listener {tcp} 127.0.0.1\n\
         listener {tls} 127.0.0.1\ncertfile {certificate}\nkeyfile {key}\n\
         listener {websocket} 127.0.0.1\nprotocol websockets\n"
    );
    fs::write(&config, text).map_err(|e| NotUp::Broken(e.to_string()))?;
    let mut command = Command::new(need("mosquitto")?);
    running.spawn(installed, "mosquitto", command.arg("-c").arg(&config))?;
    running
        .wait(installed, || [tcp, tls, websocket].iter().all(|port| connect(*port).is_some()))?;
    running.env = vec![
        ("EMITTER_GENERIC_TCP", format!("mqtt://127.0.0.1:{tcp}")),
        ("EMITTER_GENERIC_TLS", format!("mqtts://localhost:{tls}")),
        ("EMITTER_GENERIC_WEBSOCKET", format!("ws://127.0.0.1:{websocket}")),
        ("EMITTER_GENERIC_CERTIFICATE", certificate),
    ];
    Ok(())
}

/// The program, and a certificate for the brokers that the suite starts of it.
pub(super) fn emitter_broker(
    _context: &Context,
    installed: &Installed,
    running: &mut Running,
) -> Result<(), NotUp> {
    let program = by_path("EMITTER_BROKER")?;
    let (certificate, key) = certificate(installed)?;
    let shown = |path: &Path| path.display().to_string();
    running.env = vec![
        ("EMITTER_BROKER", shown(&program)),
        ("EMITTER_BROKER_CERTIFICATE", certificate),
        ("EMITTER_BROKER_KEY", key),
        ("EMITTER_BROKER_HOME", shown(&installed.home())),
    ];
    Ok(())
}
