using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Frusta.EndToEnd.Tests.Fuzzing;

/// <summary>An answer as it came: the last one, after any interim ones.</summary>
/// <param name="Status">0 when the connection was closed without one.</param>
/// <param name="Headers">By name, in lower case.</param>
/// <param name="Body">Without its framing.</param>
internal sealed record RawAnswer(int Status, IReadOnlyDictionary<string, string> Headers, byte[] Body)
{
    public static RawAnswer None { get; } = new(0, new Dictionary<string, string>(StringComparer.Ordinal), []);
}

/// <summary>Sends bytes as they are and reads one answer, with no opinion of its own on what was asked.</summary>
internal static class RawClient
{
    /// <exception cref="InvalidDataException">What came is no answer of HTTP.</exception>
    /// <exception cref="OperationCanceledException">Nothing came in time.</exception>
    public static async Task<RawAnswer> SendAsync(int port, byte[] request, string method, CancellationToken cancellationToken)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync("127.0.0.1", port, cancellationToken);
        await using var stream = new NetworkStream(socket);
        var sending = SendAllAsync(stream, request, cancellationToken); // a server may answer before it has read all
        RawAnswer answer;
        do
        {
            answer = await ReadAsync(stream, method, cancellationToken);
        }
        while (answer.Status is > 0 and < 200);
        socket.Dispose();
        await sending;
        return answer;
    }

    private static async Task SendAllAsync(NetworkStream stream, byte[] request, CancellationToken cancellationToken)
    {
        try
        {
            await stream.WriteAsync(request, cancellationToken);
        }
        catch (IOException)
        {
            // The server has answered and closed: it need not take the rest.
        }
    }

    private static async Task<RawAnswer> ReadAsync(NetworkStream stream, string method, CancellationToken cancellationToken)
    {
        var status = await LineAsync(stream, cancellationToken);
        if (status is null)
        {
            return RawAnswer.None;
        }

        var words = status.Split(' ');
        if (words.Length < 2 || words[0] is not "HTTP/1.1" || !int.TryParse(words[1], NumberStyles.None, CultureInfo.InvariantCulture, out var code))
        {
            throw new InvalidDataException($"'{status}' is no status line.");
        }

        var headers = new Dictionary<string, string>(StringComparer.Ordinal);
        while (await LineAsync(stream, cancellationToken) is { Length: > 0 } line)
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon < 1 || !headers.TryAdd(line[..colon].ToLowerInvariant(), line[(colon + 1)..].Trim()))
            {
                throw new InvalidDataException($"'{line}' is no header, or one that was there already.");
            }
        }

        return new RawAnswer(code, headers, code is < 200 or 204 or 304 || method is "HEAD" ? [] : await BodyAsync(stream, headers, cancellationToken));
    }

    private static async Task<byte[]> BodyAsync(NetworkStream stream, Dictionary<string, string> headers, CancellationToken cancellationToken)
    {
        if (headers.TryGetValue("content-length", out var length))
        {
            return await ExactlyAsync(stream, int.Parse(length, CultureInfo.InvariantCulture), cancellationToken);
        }

        using var body = new MemoryStream();
        if (!headers.ContainsKey("transfer-encoding"))
        {
            await stream.CopyToAsync(body, cancellationToken);
            return body.ToArray();
        }

        while (true)
        {
            var size = int.Parse(await LineAsync(stream, cancellationToken) ?? "", NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            await body.WriteAsync(await ExactlyAsync(stream, size, cancellationToken), cancellationToken);
            if (await LineAsync(stream, cancellationToken) is not "")
            {
                throw new InvalidDataException("A chunk does not end where it says that it does.");
            }

            if (size == 0)
            {
                return body.ToArray();
            }
        }
    }

    private static async Task<byte[]> ExactlyAsync(NetworkStream stream, int length, CancellationToken cancellationToken)
    {
        var bytes = new byte[length];
        await stream.ReadExactlyAsync(bytes, cancellationToken);
        return bytes;
    }

    /// <summary>One line without its end; null when nothing came before the end.</summary>
    private static async Task<string?> LineAsync(NetworkStream stream, CancellationToken cancellationToken)
    {
        var line = new StringBuilder();
        var one = new byte[1];
        while (true)
        {
            int count;
            try
            {
                count = await stream.ReadAsync(one, cancellationToken);
            }
            catch (IOException) when (line.Length == 0)
            {
                return null;
            }

            if (count == 0)
            {
                return line.Length == 0 ? null : throw new InvalidDataException($"The answer ends in '{line}'.");
            }

            if (one[0] == '\n')
            {
                return line.Length > 0 && line[^1] == '\r' ? line.ToString(0, line.Length - 1) : line.ToString();
            }

            line.Append((char)one[0]);
        }
    }
}
