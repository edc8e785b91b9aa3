using Frusta.Server.Configuration;
using Frusta.Server.Parts;

namespace Frusta.Server.Tests.Parts;

public sealed class StorePartTests
{
    [Fact]
    public async Task A_damaged_database_is_refused_in_words_and_the_others_are_closed()
    {
        using var folder = new TemporaryFolder();
        using var data = DataFolder.Open(folder.Sub("data"));
        using var process = new ProcessPart(new ServerOptions { LogLevel = "None" }, TimeProvider.System);
        var options = new FrustaOptions();
        await (await StorePart.OpenAsync(options, data, process)).DisposeAsync();
        var database = Path.Combine(data.Entities, "entities.db");
        var sound = await File.ReadAllBytesAsync(database, TestContext.Current.CancellationToken);
        await File.WriteAllBytesAsync(database, Enumerable.Repeat((byte)'x', 8192).ToArray(), TestContext.Current.CancellationToken);

        var refused = await Assert.ThrowsAsync<StartRefusedException>(() => StorePart.OpenAsync(options, data, process));

        Assert.StartsWith($"The entities in '{data.Entities}' cannot be read: ", refused.Message, StringComparison.Ordinal);
        await File.WriteAllBytesAsync(database, sound, TestContext.Current.CancellationToken);
        await (await StorePart.OpenAsync(options, data, process)).DisposeAsync();
    }
}
