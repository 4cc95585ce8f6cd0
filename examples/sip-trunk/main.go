// Command sip-trunk answers a SIP trunk's calls and carries them to Voxwire in Twilio's dialect.
package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/emiago/diago"
	"github.com/emiago/diago/media"
	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/pion/rtp"
	"github.com/zaf/g711"
)

var (
	silence = []byte(strings.Repeat("\xff", 160)) // of a packet, in µ-law
	opening = regexp.MustCompile(`<Stream url="([^"]+)"><Parameter name="ticket" value="(\w+)"/>`)
	token   = strings.Split(os.Getenv("VOXWIRE_PHONE_TWILIO_TOKEN"), ",")[0]
	webhook = strings.TrimRight(os.Getenv("VOXWIRE_PUBLIC_URL"), "/") + "/phone/twilio?bot="
	bot     = flag.String("bot", "", "`name` of the bot, if there are several")
	quiet   = flag.Duration("quiet", time.Minute, "a caller of whom nothing comes for so `long` is gone")
)

func main() {
	host := flag.String("host", "127.0.0.1", "`address` of SIP and RTP")
	port := flag.Int("port", 5060, "`port` of SIP, over UDP")
	external := flag.String("external", "", "`address` that callers see, if it is another one")
	allow := flag.String("allow", "", "`networks` that call without a password, by commas")
	flag.IntVar(&media.RTPPortStart, "rtp", 10000, "first `port` of RTP")
	flag.IntVar(&media.RTPPortEnd, "rtp-end", 20000, "last `port` of RTP")
	flag.Parse()
	user, password, _ := strings.Cut(os.Getenv("SIP_DIGEST"), ":")
	if token == "" || os.Getenv("VOXWIRE_PUBLIC_URL") == "" || password == "" && *allow == "" {
		log.Fatalln("set VOXWIRE_PHONE_TWILIO_TOKEN, VOXWIRE_PUBLIC_URL, and SIP_DIGEST=user:password or -allow: who may call?")
	}
	var networks []netip.Prefix
	for _, each := range strings.FieldsFunc(*allow, func(r rune) bool { return r == ',' }) {
		networks = append(networks, netip.MustParsePrefix(each))
	}
	over, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(over, func() { time.Sleep(time.Second); os.Exit(0) }) // calls hang up
	agent, _ := sipgo.NewUA()
	nonces := diago.NewDigestServer()
	at := diago.Transport{Transport: "udp", BindHost: *host, BindPort: *port, ExternalHost: *external}
	gateway := diago.NewDiago(agent, diago.WithTransport(at), diago.WithServerRequestMiddleware(guarded))
	log.Fatalln(gateway.Serve(context.Background(), func(d *diago.DialogServerSession) {
		from, _ := netip.ParseAddrPort(d.InviteRequest.Source())
		known := slices.ContainsFunc(networks, func(each netip.Prefix) bool { return each.Contains(from.Addr()) })
		for !known && password != "" && d.Context().Err() == nil {
			err := nonces.AuthorizeDialog(d, diago.DigestAuth{Username: user, Password: password})
			if known = err == nil; errors.Is(err, diago.ErrDigestAuthBadCreds) {
				break
			}
			d.InviteRequest.RemoveHeader("Authorization") // it answers what was asked long ago: it is asked anew
		}
		if known {
			answer(d, over)
		} else if d.Context().Err() == nil { // nor was it asked
			d.Respond(sip.StatusForbidden, "Forbidden", nil)
		}
	}))
}

// guarded keeps a request that breaks the library from ending the calls of others.
func guarded(next sipgo.RequestHandler) sipgo.RequestHandler {
	return func(request *sip.Request, tx sip.ServerTransaction) {
		defer func() {
			if broken := recover(); broken != nil {
				log.Println("a request is left out:", broken)
			}
		}()
		next(request, tx)
	}
}

// call is a caller and his bot.
type call struct {
	*diago.DialogMedia
	id      string
	end     context.CancelCauseFunc
	conn    net.Conn // to the bot
	held    atomic.Bool
	heard   atomic.Int64 // when a packet came last, Unix milliseconds
	mu      sync.Mutex
	waiting []byte   // of the bot's voice, in µ-law
	left    int      // bytes of it that have left, or were dropped
	marks   []string // come back when so many bytes have left:
	places  []int
}

// answer carries a call from its first moment to its last.
func answer(d *diago.DialogServerSession, over context.Context) {
	ctx, end := context.WithCancelCause(d.Context())
	defer context.AfterFunc(over, func() { end(errors.New("the gateway stops")) })()
	d.Ringing()
	c := &call{id: d.ID, end: end}
	hold := func(now *diago.DialogMedia) { // or no more, by a re-INVITE
		c.heard.Store(time.Now().UnixMilli())
		c.held.Store(!strings.Contains(string(now.MediaSession().LocalSDP(true)), "sendrecv"))
	}
	to, ticket, err := c.ring(ctx, d.FromUser(), d.InviteRequest.Recipient.User)
	if err != nil {
		d.Respond(sip.StatusBusyHere, "Busy Here", nil)
	} else if c.DialogMedia, err = d.Answer(diago.AnswerOptions{OnMediaUpdate: hold}); err != nil {
		d.Respond(sip.StatusNotAcceptableHere, "Not Acceptable Here", nil)
	} else if c.conn, _, _, err = (ws.Dialer{Timeout: 10 * time.Second, Header: ws.HandshakeHeaderHTTP(sign(to))}).Dial(ctx, to); err == nil {
		c.heard.Store(time.Now().UnixMilli())
		c.say("start", map[string]any{"streamSid": c.id, "callSid": c.id, "customParameters": map[string]any{"ticket": ticket}})
		go c.read()
		go c.listen()
		c.speak(ctx)
		c.say("stop", map[string]any{"callSid": c.id})
		c.conn.Close()
		err = context.Cause(ctx)
	}
	log.Println("a call of", d.FromUser(), "is over:", d.ID, err)
}

// sign makes an X-Twilio-Signature (twilio.com/docs/usage/security).
func sign(text string) http.Header {
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(text))
	signature := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return http.Header{"X-Twilio-Signature": {signature}, "Content-Type": {"application/x-www-form-urlencoded"}}
}

// ring announces the call by Twilio's webhook, which answers where to carry it, and with which ticket.
func (c *call) ring(ctx context.Context, from, to string) (string, string, error) {
	address, form := webhook+url.QueryEscape(*bot), url.Values{"CallSid": {c.id}, "From": {from}, "To": {to}}
	request, _ := http.NewRequestWithContext(ctx, "POST", address, strings.NewReader(form.Encode()))
	request.Close, request.Header = true, sign(address+"CallSid"+c.id+"From"+from+"To"+to)
	response, err := (&http.Client{Timeout: 10 * time.Second}).Do(request)
	if err != nil {
		return "", "", err
	}
	defer response.Body.Close()
	page, _ := io.ReadAll(response.Body)
	if opened := opening.FindStringSubmatch(string(page)); opened != nil {
		return opened[1], opened[2], nil
	}
	return "", "", errors.New("it is turned away: " + response.Status)
}

// say sends a message by one write, since others write, too.
func (c *call) say(event string, what map[string]any) {
	text, _ := json.Marshal(map[string]any{"event": event, "streamSid": c.id, event: what})
	c.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.conn.Write(ws.MustCompileFrame(ws.MaskFrameInPlace(ws.NewTextFrame(text)))); err != nil {
		c.end(err)
	}
}

// read takes what the server says; the library answers its pings.
func (c *call) read() {
	for data, err := wsutil.ReadServerText(c.conn); ; data, err = wsutil.ReadServerText(c.conn) {
		if err != nil {
			c.end(err)
			return
		}
		var said struct {
			Event string
			Media struct{ Payload []byte }
			Mark  struct{ Name string }
		}
		json.Unmarshal(data, &said)
		c.mu.Lock()
		switch c.waiting = append(c.waiting, said.Media.Payload...); said.Event {
		case "mark":
			c.marks, c.places = append(c.marks, said.Mark.Name), append(c.places, c.left+len(c.waiting))
		case "clear": // its marks come back
			c.left, c.waiting = c.left+len(c.waiting), nil
		}
		c.mu.Unlock()
	}
}

// speak sends a packet every 20 ms, and back the marks of the one before: that has left, and is over.
func (c *call) speak(ctx context.Context) {
	for tick := time.Tick(20 * time.Millisecond); ctx.Err() == nil; <-tick {
		since, held := time.Since(time.UnixMilli(c.heard.Load())), c.held.Load()
		if since > *quiet && !held {
			c.end(errors.New("nothing comes from the caller"))
		} else if since > 60*time.Millisecond { // by silence a bot hears that somebody has finished
			c.say("media", map[string]any{"payload": silence})
		}
		c.mu.Lock()
		for ; len(c.marks) > 0 && c.places[0] <= c.left; c.marks, c.places = c.marks[1:], c.places[1:] {
			c.say("mark", map[string]any{"name": c.marks[0]})
		}
		if held { // no packet leaves, though time passes
			c.mu.Unlock()
			c.RTPPacketWriter.DelayTimestamp(uint32(len(silence)))
			continue
		}
		n := min(len(silence), len(c.waiting))
		sound := slices.Concat(c.waiting[:n], silence[n:])
		c.left, c.waiting = c.left+n, c.waiting[n:]
		c.mu.Unlock()
		kind := media.CodecAudioFromSession(c.MediaSession()).PayloadType
		if kind == 8 {
			sound = g711.Ulaw2Alaw(sound)
		}
		c.RTPPacketWriter.WriteSamples(sound, uint32(len(sound)), false, kind)
	}
}

// listen takes the caller's packets.
func (c *call) listen() {
	packet, key, n, err := rtp.Packet{}, uint32(0), 0, error(nil)
	for buffer := make([]byte, media.RTPBufSize); !errors.Is(err, net.ErrClosed); {
		session := c.RTPSession()
		if n, err = session.ReadRTP(buffer, &packet); err != nil || n == 0 || c.held.Load() || !session.Sess.Raddr.IP.Equal(session.Sess.ReadRTPFromAddr.(*net.UDPAddr).IP) {
			c.StartRTP(1, 0) // a re-INVITE may have interrupted it
			continue
		}
		c.heard.Store(time.Now().UnixMilli())
		switch code := int(packet.Payload[0]); {
		case packet.PayloadType == 0:
			c.say("media", map[string]any{"payload": packet.Payload})
		case packet.PayloadType == 8:
			c.say("media", map[string]any{"payload": g711.Alaw2Ulaw(packet.Payload)})
		case packet.Timestamp != key && code < 16: // each key is said once; RFC 4733, table 3
			key = packet.Timestamp
			c.say("dtmf", map[string]any{"digit": "0123456789*#ABCD"[code : code+1]})
		}
	}
}
