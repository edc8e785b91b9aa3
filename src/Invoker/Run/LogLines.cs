using System.Globalization;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Json;

namespace Frusta.Invoker.Run;

/// <summary>Lines of the platform's own at the end of an activation's log (spec 02 section 4.7).</summary>
internal static class LogLines
{
    private const int TimestampColumns = 30;

    /// <summary>Appends <c>now stderr: text</c> to a JSON array that stands at the end of the buffer from <paramref name="start"/> on.</summary>
    public static void Append(PooledBuffer lines, int start, DateTimeOffset now, string text)
    {
        var isEmpty = lines.Length - start <= 2;
        lines.Truncate(lines.Length - 1);
        if (!isEmpty)
        {
            lines.Write(","u8);
        }

        var timestamp = now.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fffffff'Z'", CultureInfo.InvariantCulture);
        JsonText.WriteString(lines, $"{timestamp.PadRight(TimestampColumns)} stderr: {text}");
        lines.Write("]"u8);
    }
}
