using System.Buffers;
using System.Buffers.Text;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Errors;

namespace Frusta.Runtimes.Output;

/// <summary>The lines of one activation as the JSON array of its record, within its limit.</summary>
internal sealed class LogLines(TimeProvider clock)
{
    /// <summary>Bytes that Docker's log file has around the text of one line: the members' names, the stream, the time, the line end.</summary>
    private const int WrappingBytes = 71;
    private const int LineEndBytes = 2;
    private const int TimestampBytes = 30;

    private static readonly SearchValues<byte> Plain = SearchValues.Create(
        [.. Enumerable.Range(0x20, 0x7f - 0x20).Select(static value => (byte)value).Where(static value => !"\"\\<>&"u8.Contains(value))]);

    private static ReadOnlySpan<byte> Sentinel => "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"u8;

    private PooledBuffer? _json;
    private long _limit;
    private bool _truncated;

    /// <summary>Bytes of raw log that may still come.</summary>
    public long Left { get; private set; }

    public bool IsEmpty => _json is null;

    /// <summary>Bytes of JSON until now.</summary>
    public int Length => _json?.Length ?? 0;

    /// <summary>True when no more lines are kept: the limit is reached, or is 0.</summary>
    public bool IsFull => _truncated || _limit == 0;

    public void Begin(long limitBytes)
    {
        _limit = limitBytes;
        Left = limitBytes;
        _truncated = false;
    }

    /// <summary>
    /// Adds a line without its end, or a piece of one, unless this or an earlier line exceeds the limit. A line with the sentinel by which OpenWhisk's
    /// runtimes end an activation is left out.
    /// </summary>
    public void Add(ReadOnlySpan<byte> text, bool isError, bool isPiece = false)
    {
        if (IsFull || (text.Length >= Sentinel.Length && text.IndexOf(Sentinel) >= 0))
        {
            return;
        }

        text = text.EndsWith("\r"u8) && !isPiece ? text[..^1] : text;

        var plain = text.IndexOfAnyExcept(Plain) < 0;
        var size = WrappingBytes - (isPiece ? LineEndBytes : 0) + (plain ? text.Length : EscapedLength(text));
        if (size > Left)
        {
            _truncated = true;
            Left = 0;
            return;
        }

        Left -= size;
        Debug.Assert(Left >= 0 && Left < _limit);
        Open(isError, text.Length);
        if (plain)
        {
            _json!.Write(text);
        }
        else
        {
            Escape(text);
        }

        _json!.Write("\""u8);
    }

    /// <summary>Adds the platform's own lines, and gives the array.</summary>
    public LogsResult End(bool failed)
    {
        var truncated = _truncated;
        if (truncated)
        {
            AddOwn(ExecutionTexts.LogsTruncated(_limit));
        }

        if (failed && _limit > 0)
        {
            AddOwn(ExecutionTexts.LogsAfterFailure);
        }

        var json = _json;
        json?.Write("]"u8);
        _json = null;
        Begin(0);
        return new LogsResult(json, truncated);
    }

    private void AddOwn(string words)
    {
        Open(isError: true, words.Length);
        var length = Encoding.UTF8.GetBytes(words, _json!.GetSpan(words.Length * 3));
        _json.Advance(length);
        _json.Write("\""u8);
    }

    private void Open(bool isError, int textLength)
    {
        if (_json is null)
        {
            _json = PooledBuffer.Rent(textLength + 256);
            _json.Write("[\""u8);
        }
        else
        {
            _json.Write(",\""u8);
        }

        WriteTime(_json.GetSpan(TimestampBytes));
        _json.Advance(TimestampBytes);
        _json.Write(isError ? " stderr: "u8 : " stdout: "u8);
    }

    /// <summary>Nanoseconds as Docker writes them; the clock gives tenths of microseconds.</summary>
    private void WriteTime(Span<byte> destination)
    {
        clock.GetUtcNow().UtcDateTime.TryFormat(destination, out var written, "yyyy-MM-ddTHH:mm:ss.fffffff", CultureInfo.InvariantCulture);
        "00Z"u8.CopyTo(destination[written..]);
    }

    private void Escape(ReadOnlySpan<byte> text)
    {
        while (text.Length > 0)
        {
            var plain = text.IndexOfAnyExcept(Plain);
            plain = plain < 0 ? text.Length : plain;
            _json!.Write(text[..plain]);
            text = text[plain..];
            if (text.Length > 0)
            {
                text = text[EscapeOne(text)..];
            }
        }
    }

    /// <summary>Writes one character that is not plain; gives the number of bytes it had.</summary>
    private int EscapeOne(ReadOnlySpan<byte> text)
    {
        var value = text[0];
        switch (value)
        {
            case (byte)'"' or (byte)'\\':
                _json!.Write([(byte)'\\', value]);
                return 1;
            case (byte)'\r':
                _json!.Write("\\r"u8);
                return 1;
            case (byte)'\t':
                _json!.Write("\\t"u8);
                return 1;
            case < 0x20:
                _json!.Write("\\u00"u8);
                Utf8Formatter.TryFormat(value, _json.GetSpan(2), out _, new StandardFormat('x', 2));
                _json.Advance(2);
                return 1;
            case < 0x80:
                _json!.Write([value]);
                return 1;
            default:
                var status = Rune.DecodeFromUtf8(text, out _, out var length);
                _json!.Write(status == OperationStatus.Done ? text[..length] : "\uFFFD"u8);
                return length;
        }
    }

    /// <summary>Length of the text in Docker's log file, which also escapes characters that HTML reserves.</summary>
    private static int EscapedLength(ReadOnlySpan<byte> text)
    {
        var length = 0;
        while (text.Length > 0)
        {
            var taken = 1;
            length += text[0] switch
            {
                (byte)'"' or (byte)'\\' or (byte)'\r' => 2,
                < 0x20 or (byte)'<' or (byte)'>' or (byte)'&' => 6,
                < 0x80 => 1,
                _ => Rune.DecodeFromUtf8(text, out var rune, out taken) != OperationStatus.Done || rune.Value is 0x2028 or 0x2029 ? 6 : taken,
            };
            text = text[taken..];
        }

        return length;
    }
}
