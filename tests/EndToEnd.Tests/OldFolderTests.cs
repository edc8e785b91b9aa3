using System.Formats.Tar;
using System.IO.Compression;
using System.Text.Json;

namespace Frusta.EndToEnd.Tests;

/// <summary>
/// Data folders of earlier versions, kept in <c>OldFolders</c>, are served as their own version served them. That of version 1 was killed with eight records, one 202 that ran
/// and one that waited; it has a package, a binding to it, four more actions, and a trigger with a rule.
/// </summary>
public sealed class OldFolderTests
{
    private const string Running = "01a23037295274ee9c2ec6df89ef30fb";
    private const string Waiting = "01a230372d4b771bbdf1132cb6d52ccb";

    private static readonly string[] Keep = ["--Bus:MaxAgeSeconds=31536000", "--Store:Activations:MaxAge=3650.00:00:00"];

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_folder_of_version_1_opens_with_its_records_its_promises_and_its_entities()
    {
        using var folder = new TemporaryFolder();
        await using (var file = File.OpenRead(Path.Combine(Tree.Root, "tests", "EndToEnd.Tests", "OldFolders", "version-1.tar.gz")))
        await using (var unpacked = new GZipStream(file, CompressionMode.Decompress))
        {
            await TarFile.ExtractToDirectoryAsync(unpacked, folder.Path, overwriteFiles: false, Cancelled);
        }

        for (var start = 0; start < 2; start++)
        {
            await using var server = await ServerProcess.StartAsync(folder.Sub("data"), Keep);

            // The promises: one has its record now, the other runs, unless the folder is older than a message may be.
            var interrupted = await server.GetWhenThereAsync($"activations/{Running}");
            Assert.Equal("whisk internal error", interrupted.GetProperty("response").GetProperty("status").GetString());
            var waited = await server.GetWhenThereAsync($"activations/{Waiting}");
            Assert.True(waited.GetProperty("response").GetProperty("result").GetRawText() is """{"hello":"pending"}""" or """{"error":"whisk internal error"}""");

            // The records.
            Assert.Equal(10 + start, await CountAsync(server, "activations"));
            var loud = Assert.Single((await ListAsync(server, "activations?name=loud&docs=true")).EnumerateArray());
            Assert.Equal(200, loud.GetProperty("logs").GetArrayLength());
            Assert.Equal(200, (await server.GetAsync($"activations/{loud.GetProperty("activationId").GetString()}/logs")).Body.GetProperty("logs").GetArrayLength());
            Assert.Equal(2 + start, await CountAsync(server, "activations?name=bound/price") + await CountAsync(server, "activations?name=bell"));

            // The entities, and that they run.
            Assert.Equal((5, 2, 1, 1), (await CountAsync(server, "actions"), await CountAsync(server, "packages"), await CountAsync(server, "triggers"), await CountAsync(server, "rules")));
            var (status, price) = await server.PostAsync("actions/bound/price?blocking=true&result=true", null, Cancelled);
            Assert.Equal((200, """{"price":7,"currency":"EUR"}"""), (status, price.GetRawText()));
        }
    }

    private static async Task<JsonElement> ListAsync(ServerProcess server, string path) => (await server.GetAsync(path)).Body;

    private static async Task<int> CountAsync(ServerProcess server, string path) =>
        (await ListAsync(server, path + (path.Contains('?', StringComparison.Ordinal) ? "&" : "?") + "limit=200")).GetArrayLength();
}
