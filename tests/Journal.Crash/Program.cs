using System.Globalization;
using System.Text;
using Frusta.Journal;
using Microsoft.Extensions.Logging.Abstractions;

// Appends numbered entries for ever and writes each number once it is appended, every tenth once it is on disk; to be killed.
var options = new SegmentedLogOptions { Folder = args[0], SegmentBytes = 64 * 1024 };
using var log = SegmentedLog.Open(options, TimeProvider.System, NullLogger.Instance);
using var output = new StreamWriter(Console.OpenStandardOutput()) { AutoFlush = true };
for (var number = int.Parse(args[1], CultureInfo.InvariantCulture) + 1; ; number++)
{
    var text = number.ToString("D8", CultureInfo.InvariantCulture);
    var position = log.Append(1, Encoding.UTF8.GetBytes(text), Encoding.UTF8.GetBytes(" " + new string('x', number % 500)));
    if (number % 10 == 0)
    {
        await log.SyncedAsync(position, CancellationToken.None);
    }

    output.WriteLine(text);
}
