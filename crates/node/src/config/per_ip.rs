//! `max.connections.per.ip.overrides`: how many connections a host may have.

/// `host:number`, separated by commas; the number is behind the last colon, as hosts may be IPv6 addresses.
pub(crate) fn per_ip_overrides(text: &str) -> Option<Vec<(&str, usize)>> {
    let elements = text.split(',').map(str::trim).filter(|element| !element.is_empty());
    elements
        .map(|element| {
            let (host, number) = element.rsplit_once(':')?;
            let host = host.trim().trim_start_matches('[').trim_end_matches(']');
            Some((host, number.trim().parse::<i32>().ok()?.try_into().ok()?)).filter(|(host, _)| !host.is_empty())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::per_ip_overrides;

    #[test]
    fn overrides_are_hosts_and_numbers() {
        assert_eq!(per_ip_overrides(""), Some(vec![]));
        assert_eq!(per_ip_overrides("10.0.0.1:5, [::1]:0,box:7"), Some(vec![("10.0.0.1", 5), ("::1", 0), ("box", 7)]));
        for wrong in ["10.0.0.1", "10.0.0.1:", "10.0.0.1:-1", ":5", "10.0.0.1:many"] {
            assert_eq!(per_ip_overrides(wrong), None, "{wrong}");
        }
    }
}
