using System.Globalization;
using System.Text;

namespace Frusta.EndToEnd.Tests.Fuzzing;

/// <summary>A request as bytes.</summary>
/// <param name="Bytes">What is sent.</param>
/// <param name="IsWhole">True when HTTP promises an answer: the request ends where it says that it does.</param>
/// <param name="Method">Its method.</param>
/// <param name="Created">The path, under the namespace, of the entity that a PUT would make and nobody else touches; else null.</param>
internal sealed record FuzzedRequest(byte[] Bytes, bool IsWhole, string Method, string? Created);

/// <summary>Makes requests from a seed: each is a valid one with some of its parts made odd.</summary>
internal sealed class RequestFuzzer(int seed)
{
    private const string Api = "/api/v1/namespaces/";
    private const string ActivationId = "0123456789abcdef0123456789abcdef";

    // What the server under test has: actions that answer with their arguments; the parameters of the second go to its environment.
    private static readonly string[] Actions = ["echo", "echo-init", "echo-python"];

    private static readonly string[] Methods = ["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "CONNECT", "get", "FETCH", "G\u00e9T", "G:T"];
    private static readonly string[] Collections = ["actions", "triggers", "rules", "packages", "activations", "limits", "nothing", "Actions", ""];
    private static readonly string[] Outside =
        ["/", "/ping", "/metrics", "/api-docs", "/docs", "/docs/index.html", "/invokers", "/invokers/ready", "/activation", "/api/v1", "/api/v1/", "/api/v1/docs", "/api/v1/api-docs", "/api/v1/namespaces", "/api/v1/web/a/b/c", "/nothing", "//ping", "/./ping", "/api/v1/../v1"];

    private static readonly string[] OddSegments =
        ["%ED%A0%80", "%00", "%2F", "%zz", "%", "..", ".", "%20", "a%20b", "%C3%A9", "%FF", "a+b", "~", "a;b", "a:b", "@", "a@b.c", "%F0%9F%98%80", "'", "\"", "{x}", "<", "\\", "^", "|"];

    private static readonly string[] Parameters =
        ["limit", "skip", "count", "docs", "name", "since", "upto", "overwrite", "code", "force", "blocking", "result", "timeout", "%6Cimit", "public"];

    private static readonly string[] ParameterValues =
        ["", "0", "1", "-1", "200", "201", "2147483647", "2147483648", "-9223372036854775808", "9223372036854775807", "9223372036854775808", "1.0", "1e3", "+5", " 5", "%205", "true", "TRUE", "no", "on", "maybe", "%ED%A0%80", "%00", "%zz", "%", "a/b", "a/b/c", "/", "NaN", "\u0661", "echo", "1=2", "%26", "a%0d%0ab"];

    private static readonly string[] Keys =
    [
        "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes(ServerProcess.GuestKey)), "Basic", "Basic ", "Basic =", "Basic Og==", "Basic !!!!", "Bearer x", "basic " + new string('A', 4000),
        "Basic " + Convert.ToBase64String([0xED, 0xA0, 0x80, (byte)':', .. new byte[64]]), "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes("a:" + new string('\0', 64))), "",
    ];

    private static readonly string[] Types =
        ["application/json", "Application/JSON; charset=utf-8", "application/json;charset=\"\u00e9\"", "text/plain", "application/json; q", ";", "/", "a/b/c", "*/*", "", "multipart/form-data; boundary=x", "application/json, text/plain", "application/x-www-form-urlencoded", "text/html; charset=\"", new string('x', 5000)];

    private static readonly string[] RequestIds =
        ["a", "a\u0001b", "a\tb", "\u007f", "caf\u00e9", "sid_x", "SID_x", "", " ", "a b", new string('x', 9000), "\"", "<>", "\u0000", "a\u000bb"];

    private static readonly (string Name, string[] Values)[] Headers =
    [
        ("Authorization", Keys), ("Content-Type", Types), ("X-Request-ID", RequestIds), ("x-request-id", RequestIds),
        ("Accept", ["*/*", "application/json", "text/html", "application/json;q=0", ";", ",", "*", "a", "\u00e9", "application/*", "*/*;q=0.000", "q=1", new string(',', 3000)]),
        ("Accept-Charset", ["utf-8", "latin1", "*"]), ("Accept-Encoding", ["gzip", "identity;q=0", "*;q=0", "br"]), ("Accept-Language", ["de", ""]),
        ("Expect", ["100-continue", "100-Continue", "something", ""]), ("Connection", ["keep-alive", "close, x", "Upgrade", "", "TE", "x-request-id", "content-length"]),
        ("Upgrade", ["websocket", "h2c", ""]), ("HTTP2-Settings", ["AAMAAABk", "!"]), ("TE", ["trailers", "gzip"]), ("Trailer", ["X-A", "Content-Length"]), ("Origin", ["http://a", "null", "", "\u0001"]),
        ("Access-Control-Request-Method", ["PUT", "\u00e9"]), ("Host", ["", "x", "a:b", "a, b", "\u00e9", "[::1]:80", "x:99999", "x y"]), ("Content-Encoding", ["gzip", "x"]), ("Range", ["bytes=0-1", "x"]),
        ("If-None-Match", ["*", "\"a\""]), ("If-Modified-Since", ["x"]), ("Cookie", ["a=b", "\u00e9", ""]), ("X-OW-EXTRA-LOGGING", ["on", "off", "\u0001"]), ("X-Forwarded-For", ["a"]),
        ("X-Forwarded-Proto", ["x"]), ("Forwarded", ["for=\"_x\""]), ("User-Agent", ["", "\u0001"]), ("X-HTTP-Method-Override", ["DELETE"]), ("Max-Forwards", ["0"]), ("Keep-Alive", ["timeout=0"]),
        ("X-Odd", ["\u0001", "\u007f", "", "\u00ff", "a\tb", new string('y', 20_000)]), ("X Odd", ["a"]), ("X-\u00e9", ["a"]), ("", ["a"]), (" Folded", ["a"]),
    ];

    private static readonly string[] Bodies =
    [
        """{"exec":{"kind":"nodejs:20","code":"function main(a) { return a; }","main":"main"},"parameters":[{"key":"a","value":{"b":[1,"c"]}},{"key":"p","value":"x","init":true}],"annotations":[{"key":"final","value":true}],"limits":{"timeout":60000,"memory":256,"logs":10,"concurrency":1},"version":"0.0.1","publish":false}""",
        """{"exec":{"kind":"python:3.11","code":"def main(a):\n    return a"},"annotations":[{"key":"web-export","value":true},{"key":"require-whisk-auth","value":"secret"}]}""",
        """{"exec":{"kind":"sequence","components":["/_/echo","/guest/pkg/echo"]}}""", """{"exec":{"kind":"blackbox","image":"a/b:c","code":"x","binary":true}}""",
        """{"annotations":[{"key":"feed","value":"/_/pkg/feed"}],"parameters":[{"key":"a","value":1,"init":false,"encryption":null}],"limits":{},"publish":true}""",
        """{"trigger":"/_/trigger","action":"/_/echo","version":"0.0.1","publish":false,"annotations":[{"key":"a","value":null}]}""", """{"trigger":{"path":"guest","name":"trigger"},"action":{"path":"guest","name":"echo"}}""",
        """{"binding":{"namespace":"_","name":"pkg"},"parameters":[{"key":"a","value":1}],"annotations":[{"key":"description","value":"x"}],"publish":true}""", """{"binding":{}}""",
        """{"status":"active","trigger":null,"action":null}""", """{"p":"x","a":{"b":[1,2,{"c":null}]},"name":"text"}""", "{}", """[{"a":1},"b"]""",
    ];

    private readonly Random _random = new(seed);
    private readonly JsonMutation _json = new(new Random(seed));
    private int _count;

    /// <summary>The next request.</summary>
    public FuzzedRequest Next()
    {
        _count++;
        var method = OneIn(12) ? Pick(Methods) : Pick(["GET", "GET", "PUT", "PUT", "POST", "POST", "DELETE"]);
        var (path, created) = Path(method);
        var body = method is "PUT" or "POST" ? _json.Mutate(Pick(Bodies)) : OneIn(10) ? _json.Mutate("{}") : [];
        var (framing, framed, isWhole) = Frame(body);
        var head = new StringBuilder();
        var version = OneIn(40) ? Pick(["HTTP/1.0", "HTTP/2.0", "HTTP/1.2", "http/1.1", ""]) : "HTTP/1.1";
        head.Append(CultureInfo.InvariantCulture, $"{method} {Target(path)}{(method is "POST" && OneIn(2) ? "?blocking=true" : Query())} {version}\r\n");
        AppendHeaders(head);
        head.Append(framing).Append("\r\n");
        return new FuzzedRequest([.. Encoding.Latin1.GetBytes(head.ToString()), .. framed], isWhole, method, created);
    }

    private (string Path, string? Created) Path(string method)
    {
        if (OneIn(12))
        {
            return (Pick(Outside), null);
        }

        var collection = OneIn(10) ? Pick(Collections) : Pick(["actions", "triggers", "rules", "packages", "activations"]);
        var ns = OneIn(12) ? Pick(OddSegments) : Pick(["_", "_", "guest", "other"]);
        if (method is "PUT" && OneIn(2))
        {
            // A name that no other request uses: what became of this one can be looked up.
            var name = $"{collection}/fuzzed-{seed}-{_count}";
            return ($"{Api}_/{name}", name);
        }

        if (method is "POST" && OneIn(3))
        {
            return ($"{Api}_/{Pick(["actions/echo", "actions/echo-init", "actions/echo-init", "actions/echo-python", "triggers/trigger", "rules/rule"])}", null);
        }

        string[] names = method is "PUT" or "DELETE" ? ["trigger", "rule", "other", "other/echo"] : [.. Actions, "trigger", "rule", "pkg", "pkg/echo", "bound"];
        var path = new StringBuilder($"{Api}{ns}/{collection}");
        for (var segments = _random.Next(OneIn(8) ? 5 : 3); segments > 0; segments--)
        {
            path.Append('/').Append(OneIn(5) ? Pick(OddSegments) : Pick([.. names, .. names, ActivationId, "result", "logs", "", "a" + _random.Next(20), new string('n', 257)]));
        }

        return (path.ToString(), null);
    }

    private string Target(string path) => !OneIn(10)
        ? path
        : Pick(["http://127.0.0.1" + path, "http://x" + path, "https://x:1" + path, "HTTP://[::1]" + path, "http://u:p@x" + path, "ftp://x" + path, "http://x", "http://x?a", "http://", "://", "*", "x:80", path + "#x", path + "\u0001", path + "\u00e9", path[1..], new string('/', 9000)]);

    private string Query()
    {
        if (!OneIn(2))
        {
            return "";
        }

        var query = new StringBuilder("?");
        for (var parameters = _random.Next(4); parameters >= 0; parameters--)
        {
            var value = Pick(ParameterValues);
            query.Append(Pick(Parameters)).Append(OneIn(10) ? "" : "=").Append(OneIn(3) ? Pick(["true", "1", "false"]) : value).Append(OneIn(20) ? ";" : "&");
        }

        return query.ToString().Replace(' ', '+');
    }

    private void AppendHeaders(StringBuilder head)
    {
        head.Append(OneIn(30) ? "" : "Host: x\r\n");
        head.Append(CultureInfo.InvariantCulture, $"Authorization: {(OneIn(25) ? Pick(Keys) : Keys[0])}\r\n");
        head.Append(CultureInfo.InvariantCulture, $"Content-Type: {(OneIn(20) ? Pick(Types) : Types[0])}\r\n");
        head.Append(OneIn(20) ? "" : "Connection: close\r\n");
        for (var odd = OneIn(3) ? _random.Next(1, 4) : 0; odd > 0; odd--)
        {
            var (name, values) = Pick(Headers);
            head.Append(CultureInfo.InvariantCulture, $"{name}: {Pick(values)}\r\n");
        }

        if (OneIn(100))
        {
            head.Append(Pick(["no colon\r\n", ":\r\n", "A: b\n", "A : b\r\n", "\0: x\r\n", string.Concat(Enumerable.Repeat("A: b\r\n", 150))]));
        }
    }

    private (string Header, byte[] Body, bool IsWhole) Frame(byte[] body)
    {
        switch (_random.Next(20))
        {
            case < 13:
                return (body.Length > 0 || OneIn(2) ? $"Content-Length: {body.Length}\r\n" : "", body, true);
            case < 17:
                return ("Transfer-Encoding: chunked\r\n", Chunks(body), true);
            case 17:
                var length = Pick(["-1", "1e3", "0x5", "9223372036854775808", "99999999999999999999", "52428801", "+1", " ", "1, 1", "\u0661", (body.Length + 1).ToString(CultureInfo.InvariantCulture)]);
                return ($"Content-Length: {length}\r\n", body, false);
            case 18:
                return (Pick(["Content-Length: 2\r\nContent-Length: 3\r\n", "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: chunked, chunked\r\n", "Transfer-Encoding: identity\r\n", "Transfer-Encoding: \u000bchunked\r\n"]), Chunks(body), false);
            default:
                return ("Transfer-Encoding: chunked\r\n", BadChunks(body), false);
        }
    }

    private byte[] Chunks(byte[] body)
    {
        using var chunks = new MemoryStream();
        for (var sent = 0; sent < body.Length;)
        {
            var length = Math.Min(body.Length - sent, OneIn(3) ? 1 : _random.Next(1, 4000));
            chunks.Write(Encoding.ASCII.GetBytes($"{length.ToString(OneIn(2) ? "x" : "X4", CultureInfo.InvariantCulture)}{(OneIn(10) ? ";a=\"b\"" : "")}\r\n"));
            chunks.Write(body, sent, length);
            chunks.Write("\r\n"u8);
            sent += length;
        }

        chunks.Write(Encoding.ASCII.GetBytes(OneIn(10) ? "0\r\nX-Trailer: a\r\n\r\n" : "0\r\n\r\n"));
        return chunks.ToArray();
    }

    private byte[] BadChunks(byte[] body)
    {
        var size = Pick(["ffffffffffffffff", "7fffffffffffffff", "80000000", "7fffffff", "fffffffff", "-1", "", " ", "g", "0x2", "2 ", "00000000000000000002", "2;", "\0", "2\n", "\u00ff"]);
        return [.. Encoding.Latin1.GetBytes(size), (byte)'\r', (byte)'\n', .. body, .. "\r\n0\r\n\r\n"u8];
    }

    private bool OneIn(int count) => _random.Next(count) == 0;

    private T Pick<T>(T[] choices) => choices[_random.Next(choices.Length)];
}
