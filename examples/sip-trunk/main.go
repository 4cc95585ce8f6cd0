// Command sip-trunk answers a SIP trunk's calls and carries them to Voxwire in Twilio's dialect.
package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"log"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
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
	patience = 10 * time.Second
	period   = 20 * time.Millisecond               // of a packet
	silence  = []byte(strings.Repeat("\xff", 160)) // of a packet, in µ-law
	keys     = "0123456789*#ABCD"                  // RFC 4733, table 3
	token    = strings.Split(os.Getenv("VOXWIRE_PHONE_TWILIO_TOKEN"), ",")[0]
	webhook  = strings.TrimRight(os.Getenv("VOXWIRE_PUBLIC_URL"), "/") + "/phone/twilio"
	bot      = flag.String("bot", "", "`name` of the bot, if there are several")
	quiet    = flag.Duration("quiet", time.Minute, "a caller of whom nothing comes for so `long` is gone")
)

func main() {
	host := flag.String("host", "127.0.0.1", "`address` of SIP and RTP")
	port := flag.Int("port", 5060, "`port` of SIP, over UDP")
	external := flag.String("external", "", "`address` that callers see, if it is another one")
	allow := flag.String("allow", "", "`networks` that call without a password, by commas")
	flag.IntVar(&media.RTPPortStart, "rtp", 10000, "first `port` of RTP")
	flag.IntVar(&media.RTPPortEnd, "rtp-end", 20000, "last `port` of RTP")
	flag.Parse()
	account, networks := diago.DigestAuth{}, []netip.Prefix{}
	account.Username, account.Password, _ = strings.Cut(os.Getenv("SIP_DIGEST"), ":")
	for _, each := range strings.FieldsFunc(*allow, func(r rune) bool { return r == ',' }) {
		networks = append(networks, netip.MustParsePrefix(each))
	}
	if len(networks) == 0 && account.Password == "" {
		log.Fatalln("anybody could call: set SIP_DIGEST=user:password, or -allow")
	} else if token == "" || !strings.HasPrefix(webhook, "http") {
		log.Fatalln("set VOXWIRE_PHONE_TWILIO_TOKEN and VOXWIRE_PUBLIC_URL as the server has them")
	}
	over, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	agent, _ := sipgo.NewUA()
	nonces := diago.NewDigestServer()
	at := diago.Transport{Transport: "udp", BindHost: *host, BindPort: *port, ExternalHost: *external}
	gateway := diago.NewDiago(agent, diago.WithTransport(at), diago.WithServerRequestMiddleware(guarded))
	if err := gateway.ServeBackground(context.Background(), func(d *diago.DialogServerSession) {
		from, _ := netip.ParseAddrPort(d.InviteRequest.Source())
		known := slices.ContainsFunc(networks, func(each netip.Prefix) bool { return each.Contains(from.Addr()) })
		if known || account.Password != "" && nonces.AuthorizeDialog(d, account) == nil {
			answer(d, over)
		} else if d.Context().Err() == nil { // else it was asked for the password
			d.Respond(sip.StatusForbidden, "Forbidden", nil)
		}
	}); err != nil {
		log.Fatalln(err)
	}
	<-over.Done()
	time.Sleep(time.Second) // they hang up
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

type fields map[string]any

// answer carries a call; who is not answered hears that it is unavailable (480).
func answer(d *diago.DialogServerSession, over context.Context) {
	ctx, end := context.WithCancelCause(d.Context())
	defer context.AfterFunc(over, func() { end(errors.New("the gateway stops")) })()
	d.Ringing()
	c := &call{end: end}
	c.id, _ = d.InviteRequest.To().Params.Get("tag") // random
	to, ticket, err := c.ring(ctx, d.FromUser(), d.InviteRequest.Recipient.User)
	if err == nil && to == "" {
		err = d.Respond(sip.StatusBusyHere, "Busy Here", nil)
	} else if err == nil {
		c.DialogMedia, err = d.Answer(diago.AnswerOptions{OnMediaUpdate: func(now *diago.DialogMedia) {
			c.held.Store(!strings.Contains(string(now.MediaSession().LocalSDP(true)), "sendrecv"))
		}})
		if err == nil {
			err = c.carry(ctx, to, ticket)
		}
	}
	log.Println("a call of", d.FromUser(), "is over:", c.id, err)
}

// sign makes an X-Twilio-Signature (twilio.com/docs/usage/security).
func sign(text string) http.Header {
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(text))
	return http.Header{"X-Twilio-Signature": {base64.StdEncoding.EncodeToString(mac.Sum(nil))}}
}

// ring announces the call by Twilio's webhook; the stream that it opens, and its ticket.
func (c *call) ring(ctx context.Context, from, to string) (string, string, error) {
	address, form := webhook+"?bot="+url.QueryEscape(*bot), url.Values{"CallSid": {c.id}, "From": {from}, "To": {to}}
	request, _ := http.NewRequestWithContext(ctx, "POST", address, strings.NewReader(form.Encode()))
	request.Close, request.Header = true, sign(address+"CallSid"+c.id+"From"+from+"To"+to)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := (&http.Client{Timeout: patience}).Do(request)
	if err != nil {
		return "", "", err
	}
	defer response.Body.Close()
	var said struct {
		Stream struct {
			URL       string `xml:"url,attr"`
			Parameter struct {
				Value string `xml:"value,attr"`
			}
		} `xml:"Connect>Stream"`
	}
	err = xml.NewDecoder(response.Body).Decode(&said)
	return said.Stream.URL, said.Stream.Parameter.Value, err
}

// carry opens the stream, and puts the caller through.
func (c *call) carry(ctx context.Context, to, ticket string) (err error) {
	dialer := ws.Dialer{Timeout: patience, Header: ws.HandshakeHeaderHTTP(sign(to))}
	if c.conn, _, _, err = dialer.Dial(ctx, to); err != nil {
		return err
	}
	defer c.conn.Close()
	c.say("start", fields{"streamSid": c.id, "callSid": c.id, "customParameters": fields{"ticket": ticket}})
	c.heard.Store(time.Now().UnixMilli())
	go c.read()
	go c.listen()
	c.speak(ctx)
	c.say("stop", fields{"callSid": c.id})
	return context.Cause(ctx)
}

// say sends a message by one write, since others write, too.
func (c *call) say(event string, what fields) {
	text, _ := json.Marshal(fields{"event": event, "streamSid": c.id, event: what})
	c.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := c.conn.Write(ws.MustCompileFrame(ws.MaskFrameInPlace(ws.NewTextFrame(text)))); err != nil {
		c.end(err)
	}
}

// read takes what the server says; the library answers its pings.
func (c *call) read() {
	for {
		var said struct {
			Event string
			Media struct{ Payload []byte }
			Mark  struct{ Name string }
		}
		data, err := wsutil.ReadServerText(c.conn)
		if err != nil {
			c.end(err)
			return
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
	for tick := time.Tick(period); ctx.Err() == nil; <-tick {
		since, held := time.Since(time.UnixMilli(c.heard.Load())), c.held.Load()
		if since > *quiet && !held {
			c.end(errors.New("nothing comes from the caller"))
		} else if since > 3*period { // by silence a bot hears that somebody has finished
			c.say("media", fields{"payload": silence})
		}
		c.mu.Lock()
		for ; len(c.marks) > 0 && c.places[0] <= c.left; c.marks, c.places = c.marks[1:], c.places[1:] {
			c.say("mark", fields{"name": c.marks[0]})
		}
		n := min(len(silence), len(c.waiting))
		if held {
			n = 0
		}
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
	var packet rtp.Packet
	var key uint32
	for buffer := make([]byte, media.RTPBufSize); ; {
		session := c.RTPSession()
		n, err := session.ReadRTP(buffer, &packet)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		from, _ := session.Sess.ReadRTPFromAddr.(*net.UDPAddr)
		if err != nil || n == 0 || c.held.Load() || !from.IP.Equal(session.Sess.Raddr.IP) {
			c.StartRTP(1, 0) // a re-INVITE may have interrupted it
			continue
		}
		c.heard.Store(time.Now().UnixMilli())
		switch code := int(packet.Payload[0]); {
		case packet.PayloadType == 0:
			c.say("media", fields{"payload": packet.Payload})
		case packet.PayloadType == 8:
			c.say("media", fields{"payload": g711.Alaw2Ulaw(packet.Payload)})
		case packet.Timestamp != key && code < len(keys): // each is said once
			key = packet.Timestamp
			c.say("dtmf", fields{"digit": keys[code : code+1]})
		}
	}
}
