Console.WriteLine("frusta");
