#!/bin/sh
# /etc/letsencrypt/renewal-hooks/deploy/voxwire: certbot runs it after each renewal.
# Lays the certificate where Caddy or nginx, and coturn, may read it, and has them take it.
set -eu

from=${RENEWED_LINEAGE:-/etc/letsencrypt/live/voice.example.com}
to=/etc/voxwire/tls

install -d -o root -g tls-readers -m 0750 "$to"
for file in fullchain.pem privkey.pem; do
    install -o root -g tls-readers -m 0640 "$from/$file" "$to/$file.new"
    mv "$to/$file.new" "$to/$file"
done

# coturn goes on with the allocations that it has.
if systemctl is-active --quiet coturn; then
    systemctl kill --kill-whom=main --signal=SIGUSR2 coturn
fi
for proxy in caddy nginx; do
    if systemctl is-active --quiet "$proxy"; then
        systemctl reload "$proxy"
    fi
done
