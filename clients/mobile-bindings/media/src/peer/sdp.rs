//! What this crate reads of a session description by itself.

use std::net::IpAddr;

/// Most addresses that are taken.
const MAX_ADDRESSES: usize = 8;

/// Addresses of the UDP candidates (RFC 8839 §5.1), each once; names are passed over.
pub(super) fn addresses(sdp: &str) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = Vec::new();
    for line in sdp.lines() {
        let Some(candidate) = line.strip_prefix("a=candidate:") else { continue };
        let fields: Vec<&str> = candidate.split_ascii_whitespace().collect();
        let [_, _, transport, _, address, ..] = fields[..] else { continue };
        let Ok(address) = address.parse() else { continue };
        if transport.eq_ignore_ascii_case("udp") && !found.contains(&address) {
            found.push(address);
        }
        if found.len() == MAX_ADDRESSES {
            break;
        }
    }
    found
}

/// Name of the first audio section that is not refused (RFC 8843 §7.2).
pub(super) fn audio_mid(sdp: &str) -> Option<&str> {
    let mut audio = false;
    for line in sdp.lines() {
        if let Some(media) = line.strip_prefix("m=") {
            audio = media.starts_with("audio ") && !media.starts_with("audio 0 ");
        }
        if let Some(mid) = line.strip_prefix("a=mid:").filter(|_| audio) {
            return Some(mid);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{addresses, audio_mid};

    #[test]
    fn the_audio_section_is_found_behind_others() {
        let sdp = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:v\r\n\
                   m=audio 0 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n\
                   m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:one\r\n";
        assert_eq!(audio_mid(sdp), Some("one"));
        assert_eq!(audio_mid("v=0\r\na=mid:1\r\n"), None);
    }

    #[test]
    fn every_address_is_found_once_and_nothing_else() {
        let sdp = "v=0\r\na=candidate:1 1 udp 2130706431 10.0.0.1 5000 typ host\r\n\
                   a=candidate:2 1 UDP 2130706430 fd00::1 5000 typ host\r\n\
                   a=candidate:3 1 udp 1 10.0.0.1 5001 typ relay raddr 0.0.0.0 rport 0\r\n\
                   a=candidate:4 1 tcp 1 10.0.0.9 9 typ host tcptype active\r\n\
                   a=candidate:5 1 udp 1 x.local 5000 typ host\r\na=candidate:6\r\n";
        let found: Vec<String> = addresses(sdp).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["10.0.0.1", "fd00::1"]);
    }
}
