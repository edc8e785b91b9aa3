using Frusta.Sandboxes.Layout;
using Frusta.Sandboxes.Network;
using Frusta.Sandboxes.Processes;

namespace Frusta.Sandboxes.Tests.Network;

public sealed class EgressNetworkTests
{
    [Fact]
    public async Task What_the_host_refuses_for_a_while_ends_neither_the_making_nor_the_server()
    {
        Assert.SkipUnless(Environment.UserName is "root", "Networks take root.");
        var token = TestContext.Current.CancellationToken;
        using var folder = new RunFolder();
        folder.Options.Network.Subnet = "10.96.0.0/16";
        folder.Options.Network.Ready = 1;
        using var alone = await RunLock.TakeAsync(folder.Options, TimeProvider.System, token);
        using var instance = InstanceFolder.Create(folder.Options);
        using var spawner = new Spawner();
        var log = new TestLog();
        var (network, reason) = await EgressNetwork.TryCreateAsync(folder.Options, instance, spawner, TimeProvider.System, log, token);
        Assert.SkipUnless(network is not null, reason);
        await using (network)
        {
            // Folders of the names of the files that the tools' commands are written to.
            var links = Path.Combine(instance.Path, "links");
            var first = await FirstAsync(network);
            var second = await FirstAsync(network);
            await Eventually.TrueAsync(() => TryReplace(links));
            var third = FirstAsync(network); // may have been made before
            var fourth = FirstAsync(network);
            await Eventually.TrueAsync(() => log.Count(5030) > 0);
            Directory.Delete(links);
            await third;
            await fourth;

            Directory.CreateDirectory(Path.Combine(instance.Path, "removed"));
            network.GiveBack(first);
            await Eventually.TrueAsync(() => log.Count(5031) > 0);
            network.GiveBack(second);
            network.GiveBack(await third);
            network.GiveBack(await fourth);
        }

        Assert.False(Directory.Exists($"/sys/class/net/{EgressNetwork.BridgePrefix}{instance.Id}"));

        async Task<SandboxNetwork> FirstAsync(EgressNetwork from) => await from.TakeAsync(token).AsTask().WaitAsync(TimeSpan.FromMinutes(1), token);

        static bool TryReplace(string file)
        {
            try
            {
                File.Delete(file);
                Directory.CreateDirectory(file);
                return true;
            }
            catch (IOException)
            {
                // It was being written.
                return false;
            }
        }
    }
}
