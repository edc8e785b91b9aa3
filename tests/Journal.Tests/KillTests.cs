using System.Diagnostics;
using System.Globalization;

namespace Frusta.Journal.Tests;

public sealed class KillTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_killed_process_loses_nothing_that_it_acknowledged()
    {
        var cancellation = TestContext.Current.CancellationToken;
        var acknowledged = 0;
        for (var round = 0; round < 3; round++)
        {
            using var child = Process.Start(new ProcessStartInfo("dotnet")
            {
                ArgumentList = { Path.Combine(AppContext.BaseDirectory, "Frusta.Journal.Crash.dll"), _folder.Options.Folder, acknowledged.ToString(CultureInfo.InvariantCulture) },
                RedirectStandardOutput = true,
                UseShellExecute = false,
            })!;
            for (var lines = 0; lines < 700 * (round + 1); lines++)
            {
                acknowledged = int.Parse((await child.StandardOutput.ReadLineAsync(cancellation))!, CultureInfo.InvariantCulture);
            }

            child.Kill();
            while (await child.StandardOutput.ReadLineAsync(cancellation) is { } rest)
            {
                // The last line may be torn; the number of it was acknowledged all the same only if it is whole.
                acknowledged = rest.Length >= 8 ? int.Parse(rest, CultureInfo.InvariantCulture) : acknowledged;
            }

            await child.WaitForExitAsync(cancellation);
            using var log = _folder.Open();
            var entries = TestFolder.ReadAll(log);
            Assert.InRange(entries.Count, acknowledged, acknowledged + 1);
            Assert.All(entries.Index(), entry => Assert.StartsWith($"1:{entry.Index + 1:D8} ", entry.Item, StringComparison.Ordinal));
            acknowledged = entries.Count;
        }
    }
}
